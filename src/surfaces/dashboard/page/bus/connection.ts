import { decodeEvents } from "../../../../wire/sse.ts";
import type { Changes } from "./changes.ts";
import { fieldsOf, textOf } from "./records.ts";
import { type BusEvent, eventOf } from "./state.ts";

interface Route {
  readonly http: string;
  readonly access: string;
  /** The field that is sent as the whole body. */
  readonly body?: string;
}

/** The build takes these from the table of operations. */
declare const ROUTES: Readonly<Record<string, Route>>;

type Input = Readonly<Record<string, unknown>>;

interface RequestOptions {
  readonly signal?: AbortSignal;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Client {
  open(operation: string, input: Input, options?: RequestOptions): Promise<Response>;
  ask(operation: string, input: Input, options?: RequestOptions): Promise<unknown>;
}

/** The server's own error message. */
export class Refusal extends Error {
  readonly status: number;
  constructor(status: number, sentence: string) {
    super(sentence);
    this.status = status;
  }
}

export function accessOf(operation: string): string {
  return routeOf(operation).access;
}

export function createClient(credential: () => string | undefined): Client {
  const open: Client["open"] = async (operation, input, { signal, headers } = {}) => {
    const { method, path, body } = requestOf(routeOf(operation), input);
    const secret = credential();
    const response = await fetch(new URL(path, new URL("./", document.baseURI)), {
      method,
      cache: "no-store",
      credentials: "omit",
      headers: {
        ...headers,
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...(secret === undefined ? {} : { Authorization: `Bearer ${secret}` }),
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
  return error instanceof Refusal ? error.message : "The server can't be reached";
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
    // The answer has no message of its own.
  }
  return `The server answered with status ${response.status}`;
}

export type LinkState =
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  /** The next attempt is made at `until`. Both are in milliseconds since 1970. */
  | { readonly kind: "lost"; readonly since: number; readonly until: number }
  /** The server requires a credential. */
  | { readonly kind: "refused"; readonly status: number; readonly why: string };

/** The event stream, reopened whenever it breaks. */
export interface Link {
  readonly state: LinkState;
  /** Whether the server is no longer the version that this page came from. */
  readonly outdated: boolean;
  start(): void;
  retry(): void;
  /** Connects again, and starts from a new snapshot. */
  restart(): void;
}

const FIRST_PAUSE_MS = 300;
const MAX_PAUSE_MS = 10_000;

/** The server writes every 15 s, so a connection silent for this long is dead. */
const SILENCE_MS = 40_000;

/** The longest time spent on events before the page may render. */
const SLICE_MS = 12;

interface LinkHandlers {
  onConnect(): void;
  onRefused(): void;
  onEvent(data: unknown): void;
}

export function createLink({ open }: Client, changes: Changes, { onConnect, onRefused, onEvent }: LinkHandlers): Link {
  let state: LinkState = { kind: "connecting" };
  let lastId: string | undefined;
  let product: string | null = null;
  let outdated = false;
  let pause = FIRST_PAUSE_MS;
  let controller = new AbortController();
  let wake: () => void = () => {};
  let restarting = false;

  const enter = (next: LinkState): void => {
    state = next;
    changes.touch("link");
  };

  const read = async (): Promise<void> => {
    controller = new AbortController();
    const headers = { Accept: "text/event-stream", ...(lastId === undefined ? {} : { "Last-Event-ID": lastId }) };
    const response = await open("events", {}, { headers, signal: controller.signal });
    const server = response.headers.get("Server");
    outdated = product !== null && server !== product;
    product ??= server;
    enter({ kind: "live" });
    onConnect();
    pause = FIRST_PAUSE_MS;
    if (response.body === null) return;
    for await (const { id, event, data } of decodeEvents(readInSlices(response.body, controller))) {
      if (event === "error") return;
      onEvent(JSON.parse(data));
      lastId = id ?? lastId;
    }
  };

  const run = async (): Promise<never> => {
    for (;;) {
      const error = await read().then(
        () => undefined,
        (reason: unknown) => reason,
      );
      if (restarting) {
        restarting = false;
        continue;
      }
      if (error instanceof Refusal && error.status < 500) {
        if (error.status === 400) lastId = undefined;
        enter({ kind: "refused", status: error.status, why: sentenceOf(error) });
        onRefused();
        // No automatic retry: each refusal is reported to the operators.
        await waitFor(undefined);
        continue;
      }
      const milliseconds = pause * (0.75 + Math.random() / 2);
      pause = Math.min(pause * 2, MAX_PAUSE_MS);
      const since = state.kind === "lost" ? state.since : Date.now();
      enter({ kind: "lost", since, until: Date.now() + milliseconds });
      await waitFor(milliseconds);
    }
  };

  const waitFor = (milliseconds: number | undefined): Promise<void> =>
    new Promise((resolve) => {
      const timer = milliseconds === undefined ? undefined : setTimeout(resolve, milliseconds);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  const retry = (): void => {
    pause = FIRST_PAUSE_MS;
    wake();
  };

  return {
    get state() {
      return state;
    },
    get outdated() {
      return outdated;
    },
    start() {
      addEventListener("online", retry);
      document.addEventListener("visibilitychange", () => {
        if (!document.hidden && state.kind === "lost") retry();
      });
      void run();
    },
    retry,
    restart() {
      lastId = undefined;
      restarting = state.kind === "live";
      enter({ kind: "connecting" });
      controller.abort();
      retry();
    },
  };
}

async function* readInSlices(body: ReadableStream<Uint8Array>, controller: AbortController) {
  const reader = body.getReader();
  let rested = performance.now();
  for (;;) {
    const silence = setTimeout(() => controller.abort(), SILENCE_MS);
    const { done, value } = await reader.read().finally(() => clearTimeout(silence));
    if (done) return;
    yield value;
    if (performance.now() - rested < SLICE_MS) continue;
    await new Promise((resolve) => setTimeout(resolve));
    rested = performance.now();
  }
}

const HISTORY_EVENTS = 60;
const HISTORY_MS = 3_000;

/** Loads the events before `until`, oldest first, so that a new page isn't empty. Errors only make the history shorter. */
export async function loadHistory({ open }: Client, until: string): Promise<readonly BusEvent[]> {
  const end = positionOf(until);
  const since = `${Math.max(0, end.message - HISTORY_EVENTS)}.${Math.max(0, end.entry - HISTORY_EVENTS)}`;
  if (since === until) return [];
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), HISTORY_MS);
  const events: BusEvent[] = [];
  try {
    const response = await open("events", { since }, { signal: controller.signal });
    if (response.body === null) return [];
    for await (const { data } of decodeEvents(readInSlices(response.body, controller))) {
      const next = eventOf(JSON.parse(data));
      const at = positionOf(next.id);
      // A snapshot here means that earlier events are no longer stored.
      if (next.type === "snapshot" || at.message > end.message || at.entry > end.entry) break;
      events.push(next);
      if (at.message === end.message && at.entry === end.entry) break;
    }
  } catch {
    // An incomplete history is fine.
  } finally {
    clearTimeout(timer);
    controller.abort();
  }
  return events.toSorted((a, b) => a.ts - b.ts).slice(-HISTORY_EVENTS);
}

function positionOf(id: string): { message: number; entry: number } {
  const [message = "0", entry = "0"] = id.split(".");
  return { message: Number(message) || 0, entry: Number(entry) || 0 };
}
