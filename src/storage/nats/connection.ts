import {
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
} from "@nats-io/jetstream";
import { type ConnectionOptions, connect, errors, type NatsConnection } from "@nats-io/transport-node";
import { formatCount, IpcError, invalid, isIpcError } from "../../core/errors.ts";
import { monotonicMs } from "../../core/time.ts";
import { type Address, type Login, loginOf } from "./address.ts";

/** What the server's numbers mean that a store must tell apart. */
const WRONG_LAST_SEQUENCE = 10071;
const NO_STREAM = 10059;
const STREAM_EXISTS = 10058;
const OVERLAP = 10065;
const NO_JETSTREAM = [10039, 10076];
/** A stream, an account or a server that takes no more. */
const FULL = [10002, 10023, 10028, 10047, 10054, 10077, 10122];
/**
 * What is so only until something else is done: a server is away that a new stream should lie on; the same message is just
 * being stored, by an earlier try of ours, or another one of the same subject; the stream has too much to do.
 */
const SOON = [10005, 10158, 10164, 10167];

/** What the server says now isn't settled, or somebody else came between: it is asked again. */
export class Unsettled extends Error {}

export function isConflict(error: unknown): boolean {
  return codeOf(error) === WRONG_LAST_SEQUENCE;
}

export function isNoStream(error: unknown): boolean {
  return codeOf(error) === NO_STREAM;
}

export function isStreamThere(error: unknown): boolean {
  return codeOf(error) === STREAM_EXISTS;
}

/** Something takes a subject already: another stream, or the very one, made by another process at the same moment. */
export function isOverlap(error: unknown): boolean {
  return codeOf(error) === OVERLAP;
}

/** Nobody took the request: there is no stream for its subject, or none that has a leader now. */
export function isNobodyThere(error: unknown): boolean {
  return error instanceof errors.NoRespondersError || (error instanceof Error && isNobodyThere(error.cause));
}

/** The server has done nothing of it, and may in a moment. */
export function isForNow(error: unknown): boolean {
  return SOON.includes(codeOf(error) ?? 0);
}

/** Whether it was done isn't known. */
export function isUnanswered(error: unknown): boolean {
  return error instanceof errors.TimeoutError;
}

/** What may be otherwise in a moment: a leader is being chosen, a connection made anew. */
export function isPassing(error: unknown): boolean {
  if (error instanceof Unsettled || isUnanswered(error)) return true;
  if (isNobodyThere(error) || isForNow(error)) return true;
  if (error instanceof JetStreamApiError) {
    const { err_code, code } = error.apiError();
    return code === 503 && !FULL.includes(err_code) && !NO_JETSTREAM.includes(err_code);
  }
  return error instanceof errors.ConnectionError;
}

/** Where two streams would take the same, what is stored is in the wrong one, or is never acknowledged. */
export function takenBy(other: string, stream: string): IpcError {
  const words = `the stream ${other} takes what ${stream} is for: docs/nats.md lists what each stream takes`;
  return new IpcError("internal", words);
}

/** A stream that somebody has made, and not as it should be. */
export function anotherStream(stream: string, subject: string): IpcError {
  const words = `there is a stream ${stream}, but it doesn't take ${subject}: docs/nats.md lists what each stream takes`;
  return new IpcError("internal", words);
}

/** A fault of the server's that its user can mend, as a sentence; anything else as it is. */
export function inWords(error: unknown, server: string): unknown {
  if (isIpcError(error)) return error;
  const words = faultOf(error);
  return words === undefined
    ? error
    : new IpcError("internal", `NATS at ${server}: ${words}`, undefined, { cause: error });
}

function faultOf(error: unknown): string | undefined {
  const code = codeOf(error);
  if (code !== undefined && FULL.includes(code)) {
    return `a stream, the account or the server is full (${textOf(error)}): prune, or give it more room`;
  }
  if (code !== undefined && NO_JETSTREAM.includes(code)) {
    return "JetStream is off for this account: start the server with -js, or have it allowed";
  }
  if (code !== undefined) return textOf(error);
  if (error instanceof errors.PermissionViolationError) {
    const what = error.operation === "publish" ? "publish to" : "subscribe to";
    return `this login may not ${what} ${error.subject}: docs/nats.md lists what an agent needs`;
  }
  if (error instanceof errors.ClosedConnectionError || error instanceof errors.DrainingConnectionError) {
    return "the connection is closed";
  }
  return error instanceof Error && error.cause !== undefined ? faultOf(error.cause) : undefined;
}

function codeOf(error: unknown): number | undefined {
  return error instanceof JetStreamApiError ? error.code : undefined;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** How long one try may take. */
const TRY_MS = 1_500;
const PAUSE_MS = 50;
const RECONNECT_MS = 250;

/** Room that a message's subject, its headers and their names take at most. */
const HEAD_BYTES = 8 * 1024;

/** The oldest that can be asked for the next message of a subject, which all reading here is made of. */
const OLDEST = [2, 9] as const;

/** A connection to a NATS server, made again by itself when it breaks. */
export interface Connection {
  readonly nats: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  readonly apiPrefix: string;
  /** Bytes that the server takes in one message. */
  readonly largest: () => number;
  /** Those of them that are left for what a message holds. */
  readonly room: () => number;
  /** Whether the streams lie on the one server that this is connected to. */
  readonly isAlone: () => boolean;
  /** How often the connection broke. */
  readonly breaks: () => number;
  /** How long it is tried, in milliseconds. */
  readonly patience: number;
  /** Does one request, again and again while the server is away or chooses a leader; in the end says so. */
  attempt<T>(step: () => Promise<T>): Promise<T>;
  /** Waits for what was asked before. */
  close(): Promise<void>;
}

/** Once the signal aborts nobody waits long for an answer any more. */
export async function connectNats(address: Address, signal?: AbortSignal): Promise<Connection> {
  const login = loginOf(address);
  const nats = await opened(address, login, signal);
  const options = { timeout: TRY_MS, ...(address.domain && { domain: address.domain }) };
  const jsm = await jetstreamManager(nats, { ...options, checkAPI: false });

  /** A server that stands still keeps its connections open: one that doesn't answer a ping is left for another. */
  const doubt = async (): Promise<void> => {
    const answered = nats.flush().then(() => true);
    const late = new Promise<false>((resolve) => void setTimeout(resolve, TRY_MS / 3, false).unref());
    if (!(await Promise.race([answered, late]))) await nats.reconnect();
  };
  const course = watched(nats);
  // While no server is connected nothing is known of one.
  let mostBytes = 0;
  const largest = () => {
    mostBytes = nats.info?.max_payload ?? mostBytes;
    return mostBytes;
  };
  let doubting = false;
  let served = address.domain !== undefined;
  const asked = new Set<Promise<unknown>>();

  const noted = async <T>(answer: Promise<T>): Promise<T> => {
    asked.add(answer);
    try {
      return await answer;
    } finally {
      asked.delete(answer);
    }
  };

  const persist = async <T>(step: () => Promise<T>): Promise<T> => {
    const begun = monotonicMs();
    for (const end = begun + address.patience; ; ) {
      try {
        const answer = await step();
        served = true;
        return answer;
      } catch (error) {
        if (!isPassing(error)) throw inWords(error, address.shown);
        if (isNobodyThere(error) && nats.info?.jetstream !== true && !served) throw withoutJetStream(address, error);
        if (monotonicMs() > end || (signal?.aborted && monotonicMs() > begun + TRY_MS)) {
          throw away(address, course.refusedSince(begun) ?? error);
        }
        if (isUnanswered(error) && !doubting) {
          doubting = true;
          void doubt()
            .catch(() => {})
            .finally(() => {
              doubting = false;
            });
        }
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS + Math.random() * PAUSE_MS));
      }
    }
  };

  return {
    nats,
    js: jetstream(nats, options),
    jsm,
    apiPrefix: address.domain === undefined ? "$JS.API" : `$JS.${address.domain}.API`,
    largest,
    room: () => Math.max(0, largest() - HEAD_BYTES),
    isAlone: () => address.domain === undefined && nats.info?.jetstream === true && nats.info.cluster === undefined,
    breaks: course.breaks,
    patience: address.patience,
    attempt: (step) => noted(persist(step)),
    async close() {
      // A step may consist of several, and begins the next one when the last is answered.
      for (; asked.size > 0; await new Promise(setImmediate)) await Promise.allSettled(asked);
      await nats.close();
    },
  };
}

async function opened(
  address: Address,
  { nkey, ...login }: Login,
  signal: AbortSignal | undefined,
): Promise<NatsConnection> {
  const options = {
    ...login,
    servers: [...address.servers],
    name: `el-ipc ${address.bus}`,
    timeout: 5_000,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_MS,
    reconnectJitter: RECONNECT_MS,
    pingInterval: 20_000,
  };
  const nats = await reached(address, options, signal).catch((error: unknown) => {
    throw unreachable(address, nkey, error);
  });
  const version = nats.info?.version ?? "";
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return nats;
  await nats.close();
  throw invalid(`NATS at ${address.shown} is version ${version}; ${OLDEST.join(".")} is the oldest that will do`);
}

/** Where nobody said how long to wait, who finds no server hears so at once. */
async function reached(
  { patience, patient }: Address,
  options: ConnectionOptions,
  signal: AbortSignal | undefined,
): Promise<NatsConnection> {
  for (const end = monotonicMs() + (patient ? patience : 0); ; ) {
    try {
      return await connect(options);
    } catch (error) {
      if (isRefused(error) || monotonicMs() >= end || signal?.aborted) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
  }
}

/** What becomes of a connection: how often it broke, and what the server refused on it without saying to whom. */
function watched(nats: NatsConnection) {
  let breaks = 0;
  let refused: { readonly error: Error; readonly at: number } | undefined;
  void (async () => {
    for await (const status of nats.status()) {
      if (status.type === "disconnect") breaks++;
      if (status.type === "error") refused = { error: status.error, at: monotonicMs() };
    }
  })();
  return {
    breaks: () => breaks,
    refusedSince: (begun: number) => (refused !== undefined && refused.at >= begun ? refused.error : undefined),
  };
}

function isRefused(error: unknown): boolean {
  return error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError;
}

function unreachable({ shown }: Address, nkey: string | undefined, cause: unknown): IpcError {
  const why = cause instanceof Error ? cause.message : String(cause);
  if (!isRefused(cause))
    return new IpcError("internal", `NATS at ${shown} can't be reached: ${why}`, undefined, { cause });
  const whom = nkey === undefined ? "this login" : `the key ${nkey}`;
  return new IpcError("unauthorized", `NATS at ${shown} refused ${whom}: ${why}`, undefined, { cause });
}

function withoutJetStream({ shown }: Address, cause: unknown): IpcError {
  const words = `NATS at ${shown} has no JetStream: start the server with -js, or name its domain (?domain=NAME)`;
  return new IpcError("internal", words, undefined, { cause });
}

function away({ shown, patience }: Address, cause: unknown): IpcError {
  const isTold = cause instanceof JetStreamApiError || cause instanceof errors.PermissionViolationError;
  const said = isTold ? ` but: ${cause.message}` : "";
  const words = `NATS at ${shown} gave no answer for ${formatCount(patience / 1_000, "seconds")}${said}; what was asked may still have been done`;
  return new IpcError("internal", words, "busy", { cause });
}
