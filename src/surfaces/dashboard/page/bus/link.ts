import { decodeEvents } from "../../../../wire/sse.ts";
import { type Asker, Refusal, sentenceOf } from "./ask.ts";
import type { Changes } from "./changes.ts";

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
const LONGEST_PAUSE_MS = 10_000;

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
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
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
