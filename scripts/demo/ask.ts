export type Values = Readonly<Record<string, unknown>>;

export interface Command {
  readonly id: string;
  readonly kind: string;
  readonly action: string;
  readonly params: Values;
  readonly status: string;
  readonly result: Values;
}

export interface Signal {
  readonly name: string;
  readonly data: Values;
}

/** The answer of a server, with the fields that the demonstration reads. */
export interface Answer {
  readonly ok: true;
  readonly id: string;
  readonly command: Command;
  readonly commands: readonly Command[];
  readonly signal: Signal;
  readonly signals: readonly Signal[];
}

/** Asks a server as any program can. Undefined where a wait was in vain. */
export async function ask(url: string, what: string, body?: object): Promise<Answer | undefined> {
  const [method = "", path = ""] = what.split(" ");
  const response = await fetch(url + path, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const answer: unknown = await response.json();
  if (isAnswer(answer)) return answer;
  if (response.status === 408) return undefined;
  throw new Error(`${what}: ${JSON.stringify(answer)}`);
}

function isAnswer(value: unknown): value is Answer {
  return typeof value === "object" && value !== null && "ok" in value && value.ok === true;
}
