import type { KeyObject } from "node:crypto";
import { conflict, invalid, isIpcError } from "../core/errors.ts";
import {
  failureOf,
  type ItemOf,
  isStream,
  type NextRequest,
  type Operation,
  parseRequest,
  type Request,
  type Signer,
  signRequest,
} from "../operations/operation.ts";
import type { Ask, Endpoint } from "../operations/perform.ts";
import type { TokenSource } from "./remote.ts";
import { askerOf, createSigner, type Signing, tokenFor } from "./signer.ts";

export interface ClientOptions extends Pick<Signing, "url" | "knownServers" | "warn" | "signal"> {
  /** Names the asker where a request doesn't. */
  readonly agent: string | undefined;
  /** Signs requests, and tokens for a server. */
  readonly key: KeyObject | undefined;
  /** Shown to a server instead of a token made with the key. */
  readonly token: string | undefined;
  /** Opens the bus. Called once, by the first request that needs it. */
  open(token: TokenSource): Promise<Endpoint & AsyncDisposable>;
  readonly storeless: Endpoint;
}

/** A bus that fills in the asker, signs requests, and shows tokens to a server. */
export interface Client extends Endpoint, AsyncDisposable {
  /** Opens the bus now, so that a failure shows before the first request. */
  open(): Promise<void>;
  prepare<O extends Operation>(operation: O, input: object): Request<O>;
  /** Signs a request, if the client has a key. `ask` signs what wasn't signed here. */
  sign<O extends Operation>(request: Request<O>): Promise<Request<O>>;
}

export function createClient({ agent, key, token, storeless, ...options }: ClientOptions): Client {
  let bus: Promise<Endpoint & AsyncDisposable> | undefined;
  let signer: Signer | undefined;

  const makeToken: TokenSource = async (request) => token ?? (await tokenFor(askerOf(request, agent), getSigner()));
  const openBus = () => {
    bus ??= options.open(makeToken);
    return bus;
  };
  const endpointFor = async ({ operation }: Request): Promise<Endpoint> =>
    operation.storeless ? storeless : await openBus();
  const getSigner = (): Signer | undefined => {
    // Signing asks the bus for its DID, even for an operation that needs no store.
    if (key !== undefined)
      signer ??= createSigner({ ...options, key, ask: async (...asked) => (await openBus()).ask(...asked) });
    return signer;
  };
  const signedHere = new WeakSet<Request>();
  const sign = async <O extends Operation>(request: Request<O>): Promise<Request<O>> => {
    const own = request.operation.signature === undefined ? undefined : getSigner();
    if (own === undefined) return request;
    const signed = await signRequest(request, own);
    signedHere.add(signed);
    return signed;
  };
  const askAsItIs: Ask = async (request, signal) => (await endpointFor(request)).ask(request, signal);

  return {
    async open() {
      await openBus();
    },
    prepare(operation, input) {
      if (operation.signature?.required && key === undefined)
        throw invalid(`${operation.name} is signed: give key, or set IPC_KEY`);
      return parseRequest(operation, withAsker(operation, input, agent));
    },
    sign,
    async ask(request, signal) {
      try {
        return await askAsItIs(signedHere.has(request) ? request : await sign(request), signal);
      } catch (error) {
        // The bus got its first operator, or was replaced: the request was signed for another DID.
        if (!isIpcError(error) || error.reason !== "wrong_audience" || signer === undefined) throw error;
        signer = undefined;
        return await askAsItIs(await sign(request), signal);
      }
    },
    settle: async (request, ...answer) => (await endpointFor(request)).settle(request, ...answer),
    async [Symbol.asyncDispose]() {
      // The request that opened the bus has reported a failure to open it.
      const opened = await bus?.catch(() => undefined);
      await opened?.[Symbol.asyncDispose]();
    },
  };
}

function withAsker({ input: { self } }: Operation, given: object, agent: string | undefined): object {
  const isNamed = self === undefined || Reflect.get(given, self) !== undefined;
  return isNamed ? given : { ...given, [self]: agent };
}

export type Asker = Pick<Client, "prepare" | "ask" | "settle">;

/** Asks for one answer and follows up on it: a caller that awaits the answer has it. */
export async function askOnce(bus: Asker, operation: Operation, input: object, signal: AbortSignal): Promise<unknown> {
  signal.throwIfAborted();
  try {
    const request = bus.prepare(operation, input);
    const answer = await bus.ask(request, signal);
    await bus.settle(request, answer, !signal.aborted, signal.aborted ? new AbortController().signal : signal);
    signal.throwIfAborted();
    return await askNext(bus, operation.after?.next?.(answer, request.input) ?? [], answer, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  throw signal.reason;
}

/**
 * Asks for a stream, or repeats a wait. An item is settled when the next one is asked for: a caller that leaves the loop
 * hasn't consumed the last one.
 */
export async function* askEach<O extends Operation>(
  bus: Asker,
  operation: O,
  input: object,
  signal: AbortSignal,
): AsyncGenerator<NonNullable<ItemOf<O>>, void, void> {
  try {
    const request = bus.prepare(operation, input);
    for await (const item of itemsOf(bus, request, signal)) {
      yield item as NonNullable<ItemOf<O>>;
      await bus.settle(request, item, true, signal);
      signal.throwIfAborted();
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

async function* itemsOf(bus: Endpoint, request: Request, signal: AbortSignal) {
  while (!signal.aborted) {
    const answer = await bus.ask(request, signal);
    if (isStream(answer)) return yield* answer;
    if (answer !== null) yield answer;
  }
}

/** Asks the first of the next requests. Returns its answer if that is shown, else the previous answer. */
async function askNext(
  bus: Endpoint,
  [first]: readonly NextRequest[],
  answer: unknown,
  signal: AbortSignal,
): Promise<unknown> {
  if (first === undefined) return answer;
  const next = await bus.ask(first.request, signal);
  signal.throwIfAborted();
  if (first.isShown) return next;
  const failure = failureOf(first.request, next);
  if (failure !== undefined) throw conflict(failure);
  return answer;
}
