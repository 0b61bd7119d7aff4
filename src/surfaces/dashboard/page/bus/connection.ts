import { decodeEvents } from "../../../../wire/sse.ts";
import type { Changes } from "./changes.ts";
import { fieldsOf, textOf } from "./records.ts";
import { type Told, toldOf } from "./state.ts";

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

export type LinkState =
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  /** `until`: when it is tried again; both in milliseconds, as Date.now() counts. */
  | { readonly kind: "lost"; readonly since: number; readonly until: number }
  /** The server is there and lets nobody in who shows no more. */
  | { readonly kind: "refused"; readonly status: number; readonly why: string };

/** The stream of everything that happens on the bus, for as long as the page is open. */
export interface Link {
  readonly state: LinkState;
  /** The server is another version than the one that this page came with. */
  readonly outdated: boolean;
  start(): void;
  /** Tries again at once. */
  retry(): void;
  /** Forgets where it was, and begins with all that is. */
  restart(): void;
}

const FIRST_PAUSE_MS = 300;
const MAX_PAUSE_MS = 10_000;

/** The server says something each 15 s; a connection that is silent for longer is none. */
const SILENCE_MS = 40_000;

/** However much comes at once, the page goes on living in between. */
const SLICE_MS = 12;

export interface Receiver {
  /** There is a connection, anew. */
  arrive(): void;
  /** There is none, and won't be before whoever sits here shows more. */
  refused(): void;
  apply(data: unknown): void;
}

export function createLink({ open }: Asker, changes: Changes, { arrive, refused, apply }: Receiver): Link {
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
    arrive();
    pause = FIRST_PAUSE_MS;
    if (response.body === null) return;
    for await (const { id, event, data } of decodeEvents(livingChunks(response.body, controller))) {
      if (event === "error") return;
      apply(JSON.parse(data));
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
        refused();
        // Asking again by itself would be one more refusal for the operators to hear of.
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

async function* livingChunks(
  body: ReadableStream<Uint8Array>,
  controller: AbortController,
): AsyncGenerator<Uint8Array, void, void> {
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

const MOST = 60;

const MAX_MS = 3_000;

/**
 * What happened last before an event, oldest first, so that a page which was just opened isn't empty: the stream of
 * events, begun a little earlier. Whatever goes wrong, nothing more is missing than that.
 */
export async function recall({ open }: Asker, until: string): Promise<readonly Told[]> {
  const end = positionOf(until);
  const since = `${Math.max(0, end.message - MOST)}.${Math.max(0, end.entry - MOST)}`;
  if (since === until) return [];
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), MAX_MS);
  const told: Told[] = [];
  try {
    const response = await open("events", { since }, { signal: controller.signal });
    if (response.body === null) return [];
    for await (const { data } of decodeEvents(chunksOf(response.body))) {
      const next = toldOf(JSON.parse(data));
      const at = positionOf(next.id);
      // A snapshot says that so far back nothing is known any more.
      if (next.type === "snapshot" || at.message > end.message || at.entry > end.entry) break;
      told.push(next);
      if (at.message === end.message && at.entry === end.entry) break;
    }
  } catch {
    // As said above.
  } finally {
    clearTimeout(timer);
    controller.abort();
  }
  return told.toSorted((a, b) => a.ts - b.ts).slice(-MOST);
}

async function* chunksOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

function positionOf(id: string): { message: number; entry: number } {
  const [message = "0", entry = "0"] = id.split(".");
  return { message: Number(message) || 0, entry: Number(entry) || 0 };
}
