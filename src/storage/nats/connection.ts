import { JetStreamApiError, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { type ConnectionOptions, connect, errors, type NatsConnection } from "@nats-io/transport-node";
import { formatCount, IpcError, invalid, isIpcError, type Reason } from "../../core/errors.ts";
import { monotonicMs } from "../../core/time.ts";
import { type Address, type Login, loginOf } from "./address.ts";

const NO_JETSTREAM = [10039, 10076];
/** The stream, the account or the server has no space left. */
const FULL = [10002, 10023, 10028, 10047, 10054, 10077, 10122];
/**
 * Nothing was done, and trying again helps: no server is free for a new stream; the same message, or another one of its
 * subject, is just being stored; the stream is overloaded.
 */
const TEMPORARY = [10005, 10158, 10164, 10167];

/** The server's answer isn't final yet, or another process came first: ask again. */
export class UnsettledError extends Error {}

const hasCode = (code: number) => (error: unknown) => codeOf(error) === code;

export const isConflict = hasCode(10071);
export const isStreamNotFound = hasCode(10059);
export const isStreamNameInUse = hasCode(10058);
/** Another stream takes the subject, or the same one, made by another process at this moment. */
export const isSubjectsOverlap = hasCode(10065);

/** No stream listens on the subject, or the one that does has no leader now. */
export function isNoResponders(error: unknown): boolean {
  return error instanceof errors.NoRespondersError || (error instanceof Error && isNoResponders(error.cause));
}

export function isTemporary(error: unknown): boolean {
  return TEMPORARY.includes(codeOf(error) ?? 0);
}

/** No answer came: the request may have been done. */
export function isTimeout(error: unknown): boolean {
  return error instanceof errors.TimeoutError;
}

/** Trying again may help: a leader is being elected, or the connection is being made again. */
export function isTransient(error: unknown): boolean {
  if (error instanceof UnsettledError || isTimeout(error)) return true;
  if (isNoResponders(error) || isTemporary(error)) return true;
  if (error instanceof JetStreamApiError) {
    const { err_code, code } = error.apiError();
    return code === 503 && !FULL.includes(err_code) && !NO_JETSTREAM.includes(err_code);
  }
  return error instanceof errors.ConnectionError;
}

/** Turns a fault of the server that its user can mend into a sentence. */
function explainFault(error: unknown, server: string): unknown {
  if (isIpcError(error)) return error;
  const words = describeFault(error);
  return words === undefined ? error : fault(`NATS at ${server}: ${words}`, error);
}

function describeFault(error: unknown): string | undefined {
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  if (code !== undefined && FULL.includes(code)) {
    return `a stream, the account or the server is full (${message}): prune, or give it more room`;
  }
  if (code !== undefined && NO_JETSTREAM.includes(code)) {
    return "JetStream is off for this account: start the server with -js, or have it allowed";
  }
  if (code !== undefined) return message;
  if (error instanceof errors.PermissionViolationError) {
    const action = error.operation === "publish" ? "publish to" : "subscribe to";
    return `this login may not ${action} ${error.subject}: docs/nats.md lists what an agent needs`;
  }
  if (error instanceof errors.ClosedConnectionError || error instanceof errors.DrainingConnectionError) {
    return "the connection is closed";
  }
  return error instanceof Error && error.cause !== undefined ? describeFault(error.cause) : undefined;
}

function codeOf(error: unknown): number | undefined {
  return error instanceof JetStreamApiError ? error.code : undefined;
}

const REQUEST_MS = 1_500;
const PAUSE_MS = 50;
const RECONNECT_MS = 250;

/** Reserved for a message's subject and headers. */
const HEAD_BYTES = 8 * 1024;

/** Older servers can't be asked for the next message of a subject, which all reads are made of. */
const OLDEST_SERVER = [2, 9] as const;
/** Older clusters check concurrent writes to a subject too early, and read from servers that are behind. */
const OLDEST_CLUSTER = [2, 10] as const;

export type Connection = Awaited<ReturnType<typeof connectNats>>;

/** Connects to a NATS server, and again after each break. Once the signal aborts, requests are not waited for. */
export async function connectNats(address: Address, signal?: AbortSignal) {
  const nats = await openConnection(address, loginOf(address), signal);
  const options = { timeout: REQUEST_MS, ...(address.domain && { domain: address.domain }) };
  const jsm = await jetstreamManager(nats, { ...options, checkAPI: false });
  const health = watchConnection(nats);
  const pending = new Set<Promise<unknown>>();
  // After a break no server is connected for a while; until then the last one's limit holds.
  let payload = 0;
  const maxPayload = (): number => {
    payload = nats.info?.max_payload ?? payload;
    return payload;
  };
  const persist = createRetry(address, nats, health.errorSince, signal);

  return {
    nats,
    js: jetstream(nats, options),
    jsm,
    apiPrefix: address.domain === undefined ? "$JS.API" : `$JS.${address.domain}.API`,
    /** The server's limit for one message, in bytes. */
    maxPayload,
    /** The bytes that this leaves for a message's data. */
    maxData: () => Math.max(0, maxPayload() - HEAD_BYTES),
    /** Whether the streams are on the one server that this is connected to. */
    isSingleServer: () =>
      address.domain === undefined && nats.info?.jetstream === true && nats.info.cluster === undefined,
    /** How often the connection broke. */
    breaks: health.breaks,
    patience: address.patience,
    /** Repeats a request while no server answers or a leader is being elected; fails when patience ends. */
    async retry<T>(request: () => Promise<T>): Promise<T> {
      const answer = persist(request);
      pending.add(answer);
      try {
        return await answer;
      } finally {
        pending.delete(answer);
      }
    },
    /** Waits for requests under way. */
    async close(): Promise<void> {
      // A step of several requests sends the next one once the last is answered.
      for (; pending.size > 0; await new Promise(setImmediate)) await Promise.allSettled(pending);
      await nats.close();
    },
  };
}

function createRetry(
  address: Address,
  nats: NatsConnection,
  errorSince: (begun: number) => Error | undefined,
  signal: AbortSignal | undefined,
) {
  let hasAnswered = address.domain !== undefined;
  let isProbing = false;

  /** A server that hangs keeps its connections open: one that doesn't answer a ping is left for another. */
  const probe = async (): Promise<void> => {
    if (isProbing) return;
    isProbing = true;
    const answered = nats.flush().then(() => true);
    const late = new Promise<false>((resolve) => void setTimeout(resolve, REQUEST_MS / 3, false).unref());
    try {
      if (!(await Promise.race([answered, late]))) await nats.reconnect();
    } finally {
      isProbing = false;
    }
  };

  return async <T>(request: () => Promise<T>): Promise<T> => {
    const begun = monotonicMs();
    for (const end = begun + address.patience; ; ) {
      const tooOld = versionError(nats, address);
      if (tooOld !== undefined) throw tooOld;
      try {
        const answer = await request();
        hasAnswered = true;
        return answer;
      } catch (error) {
        if (!isTransient(error)) throw explainFault(error, address.label);
        if (isNoResponders(error) && nats.info?.jetstream !== true && !hasAnswered) {
          const advice = "start the server with -js, or name its domain (?domain=NAME)";
          throw fault(`NATS at ${address.label} has no JetStream: ${advice}`, error);
        }
        if (monotonicMs() > end || (signal?.aborted && monotonicMs() > begun + REQUEST_MS)) {
          throw noAnswerError(address, errorSince(begun) ?? error);
        }
        if (isTimeout(error)) void probe().catch(() => {});
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS + Math.random() * PAUSE_MS));
      }
    }
  };
}

async function openConnection(
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
  const nats = await connectPatiently(address, options, signal).catch((error: unknown) => {
    throw unreachableError(address, nkey, error);
  });
  const tooOld = versionError(nats, address);
  if (tooOld === undefined) return nats;
  await nats.close();
  throw tooOld;
}

/** Fails at once where no server is there and the address doesn't say to wait. */
async function connectPatiently(
  { patience, waitsForServer }: Address,
  options: ConnectionOptions,
  signal: AbortSignal | undefined,
): Promise<NatsConnection> {
  for (const end = monotonicMs() + (waitsForServer ? patience : 0); ; ) {
    try {
      return await connect(options);
    } catch (error) {
      if (isLoginRefused(error) || monotonicMs() >= end || signal?.aborted) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
  }
}

/** Counts breaks, and keeps the last error that the server sent without saying which request it meant. */
function watchConnection(nats: NatsConnection) {
  let breaks = 0;
  let last: { readonly error: Error; readonly at: number } | undefined;
  void (async () => {
    for await (const status of nats.status()) {
      if (status.type === "disconnect") breaks++;
      if (status.type === "error") last = { error: status.error, at: monotonicMs() };
    }
  })();
  return {
    breaks: () => breaks,
    errorSince: (begun: number) => (last !== undefined && last.at >= begun ? last.error : undefined),
  };
}

function versionError({ info }: NatsConnection, { label, domain }: Address): IpcError | undefined {
  if (info === undefined) return undefined;
  const [major = 0, minor = 0] = info.version.split(".").map(Number);
  const isOlder = ([oldestMajor, oldestMinor]: readonly [number, number]) =>
    major < oldestMajor || (major === oldestMajor && minor < oldestMinor);
  if (isOlder(OLDEST_SERVER)) {
    return invalid(`NATS at ${label} is version ${info.version}; el-ipc needs ${OLDEST_SERVER.join(".")} or newer`);
  }
  // With a domain the streams are elsewhere, and this server only passes requests on.
  const isCluster = domain === undefined && info.cluster !== undefined;
  return isCluster && isOlder(OLDEST_CLUSTER) ? oldClusterError(`${label} (version ${info.version})`) : undefined;
}

/** An expected failure that is neither the caller's fault nor a bug of ours. */
export function fault(words: string, cause?: unknown, reason?: Reason): IpcError {
  return new IpcError("internal", words, reason, { cause });
}

export function oldClusterError(where: string): IpcError {
  const needed = OLDEST_CLUSTER.join(".");
  return invalid(
    `the NATS cluster at ${where} is older than ${needed}: upgrade all its servers to ${needed} or newer, or use a single server`,
  );
}

function isLoginRefused(error: unknown): boolean {
  return error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError;
}

function unreachableError({ label }: Address, nkey: string | undefined, cause: unknown): IpcError {
  const why = cause instanceof Error ? cause.message : String(cause);
  if (!isLoginRefused(cause)) return fault(`NATS at ${label} can't be reached: ${why}`, cause);
  const login = nkey === undefined ? "this login" : `the key ${nkey}`;
  return new IpcError("unauthorized", `NATS at ${label} refused ${login}: ${why}`, undefined, { cause });
}

function noAnswerError({ label, patience }: Address, cause: unknown): IpcError {
  const isFromServer = cause instanceof JetStreamApiError || cause instanceof errors.PermissionViolationError;
  const reason = isFromServer ? ` but: ${cause.message}` : "";
  const words = `NATS at ${label} gave no answer for ${formatCount(patience / 1_000, "seconds")}${reason}; what was asked may still have been done`;
  return fault(words, cause, "busy");
}
