import type { Asker } from "./answers.ts";
import type { ServerTarget } from "./client/remote.ts";
import { askerOf, createSigner, tokenFor } from "./client/signer.ts";
import { THIS_PROCESS } from "./core/access.ts";
import { invalid, isIpcError } from "./core/errors.ts";
import { readPrivateKey } from "./core/keys.ts";
import { createNotes, type Environment } from "./environment.ts";
import { openBus, openLink } from "./open.ts";
import { type Operation, parseRequest, type Request, type Signer, signRequest } from "./operations/operation.ts";
import { type Ask, createLocalEndpoint, createStorelessEndpoint, type Endpoint } from "./operations/perform.ts";
import { readFile } from "./surfaces/cli/terminal.ts";
import { createHttpEndpoint } from "./surfaces/http/client.ts";

export interface Connecting {
  readonly environment: Environment;
  /** The server to ask instead of the database. */
  readonly url: string | undefined;
  readonly agent: string | undefined;
  /** The private key to sign with: the path of its file, or the key itself. */
  readonly key: string | Uint8Array | undefined;
  readonly token: string | undefined;
  /** Shows the user a warning. */
  readonly warn: (sentence: string) => void;
  /** Ends the wait for a store that isn't reachable. */
  readonly signal?: AbortSignal;
}

/** A bus that names the asker where a request doesn't, signs, and shows a server a token. */
export interface Client extends Asker, AsyncDisposable {}

/** The bus behind the server at an address. */
export async function openServer(server: ServerTarget): Promise<Endpoint & AsyncDisposable> {
  if (server.url.startsWith("tcp://")) return (await import("./surfaces/tcp/client.ts")).openTcpEndpoint(server);
  return { ...createHttpEndpoint(server), [Symbol.asyncDispose]: async () => {} };
}

const FOREVER = new AbortController().signal;

/** A bus for a program that asks more than once: on this machine's database, or behind a server. */
export async function openClient({
  environment,
  url,
  agent,
  token,
  warn,
  signal = FOREVER,
  ...given
}: Connecting): Promise<Client> {
  const key = given.key === undefined ? undefined : readPrivateKey(bytesOf(given.key));
  const bus = url === undefined ? await openBus(environment, { port: () => environment.port, signal }) : undefined;
  const pins = createNotes(environment.configFolder);
  const makeToken = async (request: Request) => token ?? (await tokenFor(askerOf(request, agent), getSigner()));
  const remote =
    url === undefined ? undefined : await openServer({ url, apiKey: environment.apiKey, token: makeToken });
  const storeless = createStorelessEndpoint(bus ?? { link: openLink() }, THIS_PROCESS);
  const local = bus === undefined ? storeless : createLocalEndpoint(bus, THIS_PROCESS);
  const endpointFor = (operation: Operation) => (operation.storeless ? storeless : (remote ?? local));
  const ask: Ask = (request, signal) => endpointFor(request.operation).ask(request, signal);

  let signer: Signer | undefined;
  const getSigner = (): Signer | undefined => {
    if (key !== undefined) signer ??= createSigner({ key, ask, url, pins, warn, signal: FOREVER });
    return signer;
  };
  const sign = async <O extends Operation>(request: Request<O>): Promise<Request<O>> => {
    const own = request.operation.signature === undefined ? undefined : getSigner();
    return own === undefined ? request : await signRequest(request, own);
  };

  return {
    prepare(operation, input) {
      if (operation.signature?.required && key === undefined)
        throw invalid(`${operation.name} is signed: give key, or set IPC_KEY`);
      return parseRequest(operation, withAsker(operation, input, agent));
    },
    async ask(request, signal) {
      try {
        return await ask(await sign(request), signal);
      } catch (error) {
        // The bus got its first operator, or is another one: its DID is not what was signed for.
        if (!isIpcError(error) || error.reason !== "wrong_audience" || signer === undefined) throw error;
        signer = undefined;
        return await ask(await sign(request), signal);
      }
    },
    settle: (request, ...answer) => endpointFor(request.operation).settle(request, ...answer),
    async [Symbol.asyncDispose]() {
      await remote?.[Symbol.asyncDispose]();
      await bus?.[Symbol.asyncDispose]();
    },
  };
}

/** Reads a key: text is a path, unless it is PEM. */
function bytesOf(key: string | Uint8Array): Uint8Array {
  if (typeof key !== "string") return key;
  return key.includes("-----BEGIN ") ? Buffer.from(key) : readFile(key);
}

/** The input with the asker's name, where that is left out. */
function withAsker({ input: { self } }: Operation, given: object, agent: string | undefined): object {
  const isNamed = self === undefined || Reflect.get(given, self) !== undefined;
  return isNamed ? given : { ...given, [self]: agent };
}
