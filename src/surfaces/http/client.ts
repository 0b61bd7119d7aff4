import { elapsed } from "../../core/clock.ts";
import { invalid } from "../../core/errors.ts";
import { LONGEST_WAIT_SECONDS, WAIT_SECONDS } from "../../core/limits.ts";
import type { Door } from "../../operations/perform.ts";
import { decodeEvents } from "../../wire/sse.ts";
import {
  type Asked,
  bodyOf,
  failureOf,
  isPassing,
  notOurs,
  parseAnswer,
  type Reached,
  request,
  type Server,
  textOf,
} from "./exchange.ts";

/** The door to a bus behind a server: the same operations, asked over HTTP. */
export function httpDoor(server: Server): Door {
  const base = parseUrl(server.url);
  const reached: Reached = { once: false };
  return async (operation, input, signal) => {
    if (operation.http === undefined) {
      throw invalid(`${operation.name} works on the database itself: leave out --url and IPC_URL`);
    }
    const asked: Asked = { base, server, reached, operation, input: Object(input), signal };
    if (operation.stream) return streamed(asked);
    if (operation.waits?.(asked.input)) return waited(asked);
    return reached.once && mayRepeat(asked) ? repeated(asked) : once(asked);
  };
}

async function once(asked: Asked): Promise<unknown> {
  const response = await request(asked);
  const answer = parseAnswer(await textOf(response));
  return response.statusCode === 408 ? null : answer;
}

/** Whether a request that may have been done already does no harm when it is done again. */
function mayRepeat({ operation, input }: Asked): boolean {
  return operation.idempotent === true || input.nonce !== undefined;
}

const REPEATING_MS = 30_000;

/** The same request again, while a server that was there is away for a moment. */
async function repeated(asked: Asked): Promise<unknown> {
  const end = elapsed() + REPEATING_MS;
  const pause = createPause(asked.signal);
  for (;;) {
    try {
      return await once(asked);
    } catch (error) {
      if (!isPassing(error, asked) || elapsed() >= end || asked.signal.aborted) throw error;
      await pause.wait();
    }
  }
}

/** A wait of any length as long-polls of a length that all between will let live; a server that restarts is asked again. */
async function waited(asked: Asked): Promise<unknown> {
  const seconds = asked.input.timeout;
  const end = typeof seconds === "number" ? elapsed() + seconds * 1_000 : Number.POSITIVE_INFINITY;
  const pause = createPause(asked.signal);
  for (;;) {
    const left = Math.max(0, (end - elapsed()) / 1_000);
    const input = { ...asked.input, timeout: Math.min(left, WAIT_SECONDS, LONGEST_WAIT_SECONDS) };
    try {
      const answer = await once({ ...asked, input });
      pause.reset();
      const nothing = answer === null || asked.operation.nothing?.(answer, asked.input);
      if (!nothing || elapsed() >= end || asked.signal.aborted) return answer;
    } catch (error) {
      if (asked.signal.aborted) return asked.operation.nothing === undefined ? null : [];
      if (!isPassing(error, asked) || elapsed() >= end) throw error;
      await pause.wait();
    }
  }
}

/** A stream for as long as anybody reads it; after a break it goes on behind the last answer that came. */
async function* streamed(asked: Asked): AsyncGenerator<unknown, void, void> {
  const pause = createPause(asked.signal);
  let input = asked.input;
  while (!asked.signal.aborted) {
    try {
      const response = await request({ ...asked, input });
      if (!response.headers["content-type"]?.startsWith("text/event-stream")) throw notOurs("a stream of events");
      pause.reset();
      for await (const { id, event, data } of decodeEvents(bodyOf(response))) {
        if (event === "error") throw failureOf(parseAnswer(data), 500);
        yield parseAnswer(data);
        if (id !== undefined) input = { ...input, since: id };
      }
    } catch (error) {
      if (asked.signal.aborted) return;
      if (!isPassing(error, asked)) throw error;
    }
    await pause.wait();
  }
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/** Longer and longer, so that a server which comes back isn't trampled. */
function createPause(signal: AbortSignal) {
  let milliseconds = FIRST_PAUSE_MS;
  return {
    reset() {
      milliseconds = FIRST_PAUSE_MS;
    },
    async wait() {
      await sleep(milliseconds * (0.5 + Math.random()), signal);
      milliseconds = Math.min(milliseconds * 2, LONGEST_PAUSE_MS);
    },
  };
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => resolve(clearTimeout(timer)), { once: true });
  });
}

function parseUrl(url: string): URL {
  const base = URL.canParse(url) ? new URL(url) : undefined;
  if (base?.protocol === "http:" || base?.protocol === "https:") return base;
  throw invalid(`${JSON.stringify(url)} is not the address of a server: http://host:port or https://host`);
}
