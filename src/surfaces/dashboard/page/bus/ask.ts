import { fieldsOf, textOf } from "./values.ts";

/** An operation of the bus as HTTP offers it. The build takes these from the table of operations. */
interface Route {
  readonly http: string;
  readonly access: string;
  /** The field that is the whole body. */
  readonly body?: string;
}

declare const ROUTES: Readonly<Record<string, Route>>;

export type Input = Readonly<Record<string, unknown>>;

export interface Asking {
  readonly signal?: AbortSignal;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Asks the server for operations, by their names. */
export interface Asker {
  open(operation: string, input: Input, asking?: Asking): Promise<Response>;
  ask(operation: string, input: Input, asking?: Asking): Promise<unknown>;
}

/** The server said no, and why. */
export class Refusal extends Error {
  readonly status: number;
  constructor(status: number, sentence: string) {
    super(sentence);
    this.status = status;
  }
}

/** What an operation asks of its caller. */
export function accessOf(operation: string): string {
  return routeOf(operation).access;
}

export function createAsker(credential: () => string | undefined): Asker {
  const open: Asker["open"] = async (operation, input, { signal, headers } = {}) => {
    const { method, path, body } = requestOf(routeOf(operation), input);
    const shown = credential();
    const response = await fetch(new URL(path, new URL("./", document.baseURI)), {
      method,
      cache: "no-store",
      credentials: "omit",
      headers: {
        ...headers,
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...(shown === undefined ? {} : { Authorization: `Bearer ${shown}` }),
      },
      ...(body === undefined ? {} : { body }),
      ...(signal === undefined ? {} : { signal }),
    });
    if (response.ok) return response;
    throw new Refusal(response.status, await reasonOf(response));
  };
  return { open, ask: async (...asked) => (await open(...asked)).json() };
}

export function sentenceOf(error: unknown): string {
  if (error instanceof Refusal) return error.message;
  return "The server can't be reached";
}

function routeOf(operation: string): Route {
  const route = ROUTES[operation];
  if (route === undefined) throw new Error(`${operation} is not offered over HTTP`);
  return route;
}

function requestOf({ http, body: whole }: Route, input: Input) {
  const [method = "", pattern = ""] = http.split(" ");
  const rest = new Map(Object.entries(input).filter(([, value]) => value !== undefined));
  const path = pattern.replace(/:(\w+)/g, (_, name: string) => {
    const value = String(rest.get(name) ?? "");
    rest.delete(name);
    return encodeURIComponent(value);
  });
  if (method === "POST" && whole === undefined) {
    return { method, path: `.${path}`, body: JSON.stringify(Object.fromEntries(rest)) };
  }
  const body = whole === undefined ? undefined : JSON.stringify(rest.get(whole));
  if (whole !== undefined) rest.delete(whole);
  const query = new URLSearchParams([...rest].map(([name, value]) => [name, String(value)]));
  return { method, path: `.${path}${query.size > 0 ? `?${query}` : ""}`, body };
}

async function reasonOf(response: Response): Promise<string> {
  try {
    const sentence = textOf(fieldsOf(await response.json()).error);
    if (sentence !== "") return sentence;
  } catch {
    // As below: whoever answered has nothing to say that could be shown.
  }
  return `The server answered with status ${response.status}`;
}
