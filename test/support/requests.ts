import { Agent, type IncomingMessage, request } from "node:http";

export interface Reply {
  readonly status: number;
  /** Its body where it is a JSON object, else an empty one. */
  readonly json: Readonly<Record<string, unknown>>;
  readonly text: string;
}

export interface Question {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Shown as Authorization: Bearer. */
  readonly bearer?: string | undefined;
  /** Connections to use again, where it isn't one of its own. */
  readonly agent?: Agent;
}

/** Connections that many questions go over. */
export function connections(): Agent & Disposable {
  const agent = new Agent({ keepAlive: true });
  return Object.assign(agent, { [Symbol.dispose]: () => agent.destroy() });
}

/** Asks `"POST /send"` of a server, on a connection of its own, with exactly the headers named. */
export async function ask(url: string, what: string, question: Question = {}): Promise<Reply> {
  const response = await opened(url, what, question);
  const text = Buffer.concat(await Array.fromAsync(response)).toString();
  return { status: response.statusCode ?? 0, json: objectIn(text), text };
}

/** The answer as it begins, for streams. */
export function opened(url: string, what: string, question: Question = {}): Promise<IncomingMessage> {
  const { body, headers, bearer, agent = false } = question;
  const [method, path] = what.split(" ");
  const text = body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const asking = request(
      new URL(path ?? "/", url),
      {
        method,
        agent,
        headers: {
          ...(text === undefined
            ? {}
            : { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) }),
          ...(bearer === undefined ? {} : { Authorization: `Bearer ${bearer}` }),
          ...headers,
        },
      },
      resolve,
    );
    asking.on("error", reject);
    asking.end(text);
  });
}

export function objectIn(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The objects of a JSON array. */
export function objectsIn(text: string): readonly Readonly<Record<string, unknown>>[] {
  const value: unknown = JSON.parse(text);
  return Array.isArray(value) ? value.filter(isObject) : [];
}
