import {
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
} from "@nats-io/jetstream";
import { type ConnectionOptions, connect, errors, type NatsConnection } from "@nats-io/transport-node";
import { elapsed } from "../../core/clock.ts";
import { counted } from "../../core/counted.ts";
import { IpcError, invalid } from "../../core/errors.ts";
import type { Address } from "./address.ts";
import { inWords, isNobodyThere, isPassing, isUnanswered } from "./faults.ts";
import { type Login, loginOf } from "./login.ts";

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
    const begun = elapsed();
    for (const end = begun + address.patience; ; ) {
      try {
        const answer = await step();
        served = true;
        return answer;
      } catch (error) {
        if (!isPassing(error)) throw inWords(error, address.shown);
        if (isNobodyThere(error) && nats.info?.jetstream !== true && !served) throw withoutJetStream(address, error);
        if (elapsed() > end || (signal?.aborted && elapsed() > begun + TRY_MS)) {
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
  for (const end = elapsed() + (patient ? patience : 0); ; ) {
    try {
      return await connect(options);
    } catch (error) {
      if (isRefused(error) || elapsed() >= end || signal?.aborted) throw error;
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
      if (status.type === "error") refused = { error: status.error, at: elapsed() };
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
  const words = `NATS at ${shown} gave no answer for ${counted(patience / 1_000, "seconds")}${said}; what was asked may still have been done`;
  return new IpcError("internal", words, "busy", { cause });
}
