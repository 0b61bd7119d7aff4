import type { ServerTarget } from "./client/remote.ts";
import { askerOf, createSigner, tokenFor } from "./client/signer.ts";
import { THIS_PROCESS } from "./core/access.ts";
import { invalid, isIpcError } from "./core/errors.ts";
import { readPrivateKey } from "./core/keys.ts";
import { createNotes, type Environment } from "./environment.ts";
import { openBus, openLink } from "./open.ts";
import { parseInput } from "./operations/fields.ts";
import type { Operation, Signer } from "./operations/operation.ts";
import { type Ask, perform, performStoreless } from "./operations/perform.ts";
import { readFile } from "./surfaces/cli/terminal.ts";
import { httpDoor } from "./surfaces/http/client.ts";

export interface Connecting {
  readonly environment: Environment;
  /** The server to ask instead of the database. */
  readonly url: string | undefined;
  readonly agent: string | undefined;
  /** The private key to sign with: the path of its file, or the key itself. */
  readonly key: string | Uint8Array | undefined;
  readonly token: string | undefined;
  /** Told what its user should know. */
  readonly warn: (sentence: string) => void;
  /** Ends the wait for a store that isn't there. */
  readonly signal?: AbortSignal;
}

export interface Client extends AsyncDisposable {
  /** Names who asks where the request doesn't, signs, and shows a server a token. What it hands out isn't settled yet. */
  readonly door: Ask;
}

/** The door to a bus behind the server at an address. */
export async function openServer(server: ServerTarget): Promise<Ask & AsyncDisposable> {
  if (server.url.startsWith("tcp://")) return (await import("./surfaces/tcp/client.ts")).tcpDoor(server);
  return Object.assign(httpDoor(server), { [Symbol.asyncDispose]: async () => {} });
}

type Input = Readonly<Record<string, unknown>>;

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
  const storelessBus = bus ?? { link: openLink() };
  const pins = createNotes(environment.configFolder);
  const shown = async (operation: Operation, input: Input) =>
    token ?? (await tokenFor(askerOf(operation, input, agent), signerHere()));
  const far = url === undefined ? undefined : await openServer({ url, apiKey: environment.apiKey, token: shown });
  const reach: Ask = (operation, input, signal) => {
    const context = { caller: THIS_PROCESS, signal };
    if (operation.storeless) return performStoreless(storelessBus, operation, input, context);
    if (far !== undefined) return far(operation, input, signal);
    if (bus !== undefined) return perform(bus, operation, input, context);
    throw new Error("a client has a bus or a server");
  };

  let signer: Signer | undefined;
  const signerHere = (): Signer | undefined => {
    if (key !== undefined) signer ??= createSigner({ key, door: reach, url, pins, warn, signal: FOREVER });
    return signer;
  };
  const ask = async (operation: Operation, input: Input, signal: AbortSignal): Promise<unknown> => {
    const signing = operation.signature === undefined ? undefined : signerHere();
    const asked = operation.signature && signing ? { ...(await operation.signature.add(input, signing)) } : input;
    return await reach(operation, asked, signal);
  };

  return {
    async door(operation, given, signal) {
      if (operation.signature?.required && key === undefined)
        throw invalid(`${operation.name} is signed: give key, or set IPC_KEY`);
      const asked = parseInput(operation.input.fields, named(operation, Object(given), agent));
      // Nothing is settled before the answer is there.
      const input = "ack" in operation.input.fields ? { ...asked, ack: "manual" } : { ...asked };
      try {
        return await ask(operation, input, signal);
      } catch (error) {
        // The bus got its first operator, or is another one: its DID is not what was signed for.
        if (!isIpcError(error) || error.reason !== "wrong_audience" || signer === undefined) throw error;
        signer = undefined;
        return await ask(operation, input, signal);
      }
    },
    async [Symbol.asyncDispose]() {
      await far?.[Symbol.asyncDispose]();
      await bus?.[Symbol.asyncDispose]();
    },
  };
}

/** A text is a path, unless it is PEM. */
function bytesOf(key: string | Uint8Array): Uint8Array {
  if (typeof key !== "string") return key;
  return key.includes("-----BEGIN ") ? Buffer.from(key) : readFile(key);
}

/** With who asks, where that is left out. */
function named({ input: { self } }: Operation, given: Input, agent: string | undefined): Input {
  return self !== undefined && given[self] === undefined ? { ...given, [self]: agent } : given;
}
