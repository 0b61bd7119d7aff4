import { createSigner, tokenFor } from "./client/signer.ts";
import { openServer } from "./client.ts";
import type { Identity } from "./core/access.ts";
import type { Bus } from "./core/bus.ts";
import { isIpcError, unauthorized } from "./core/errors.ts";
import { readPrivateKey } from "./core/keys.ts";
import { verifyToken } from "./core/token.ts";
import { createNotes, type Environment } from "./environment.ts";
import { openBus } from "./open.ts";
import { operations } from "./operations/index.ts";
import type { Signer } from "./operations/operation.ts";
import { type Ask, perform } from "./operations/perform.ts";
import { readFile } from "./surfaces/cli/terminal.ts";
import type { Client } from "./surfaces/mcp/call.ts";
import { serveStdioMcp } from "./surfaces/mcp/stdio.ts";

export interface Serving {
  /** Who the client is. */
  readonly agent: string | undefined;
  readonly keyFile: string | undefined;
  /** The server to ask instead of the database. */
  readonly url: string | undefined;
}

/** Serves the bus to the client at standard input and output: the one on this machine, or the one behind a server. */
export async function serveMcp(
  environment: Environment,
  version: string,
  { agent, keyFile, url }: Serving,
  signal: AbortSignal,
): Promise<void> {
  const key = keyFile === undefined ? undefined : readPrivateKey(readFile(keyFile));
  const pins = createNotes(environment.configFolder);
  await using doors = await openDoors(environment, url, signal, () =>
    signer && agent !== undefined ? { signer, agent } : undefined,
  );
  /** Made for each call: a bus may get an operator, and so a name to sign for, while this runs. */
  const signer = key && (() => createSigner({ key, door: doors.nobodys, url, pins, warn: console.error, signal }));
  const client: Client = { door: doors.agents, agent, signer, help: HELP };
  const failed = (error: unknown) => void (environment.debug && console.error(error));
  await serveStdioMcp({ version, operations, client, input: process.stdin, output: process.stdout, failed }, signal);
}

const HELP = [
  "This server must know which agent you are. Ask your user to start it with IPC_AGENT set to a registered agent and",
  "IPC_KEY to the file of its private key (`el-ipc keygen`, `el-ipc register`).",
].join(" ");

/** Who asks, and how to show it. */
interface Shown {
  readonly agent: string;
  readonly signer: () => Signer;
}

interface Doors extends AsyncDisposable {
  /** On which anything is asked as the agent. */
  readonly agents: Ask;
  /** On which is asked what anybody may. */
  readonly nobodys: Ask;
}

/** To the bus on this machine, or to the one behind a server, which asks for a token itself only where it wants one. */
async function openDoors(
  environment: Environment,
  url: string | undefined,
  signal: AbortSignal,
  shown: () => Shown | undefined,
): Promise<Doors> {
  if (url === undefined) {
    const bus = await openBus(environment, { port: () => environment.port, signal });
    return {
      agents: nearDoor(bus, shown),
      nobodys: nearDoor(bus, () => undefined),
      [Symbol.asyncDispose]: () => bus[Symbol.asyncDispose](),
    };
  }
  const { apiKey, token } = environment;
  const door = await openServer({
    url,
    apiKey,
    token: async () => token ?? tokenFor(shown()?.agent, shown()?.signer()),
  });
  return { agents: door, nobodys: door, [Symbol.asyncDispose]: () => door[Symbol.asyncDispose]() };
}

/**
 * A model is asked for as much as any client on this machine: that it was started by somebody who may open the database
 * doesn't make it an agent of the bus.
 */
function nearDoor(bus: Bus, shown: () => Shown | undefined): Ask {
  return async (operation, input, signal) => {
    const who = shown();
    const identity = who && (await identityOf(bus, who));
    return perform(bus, operation, input, {
      caller: { from: "local", admitted: false, hasKey: false, identity },
      signal,
    });
  };
}

const MOMENT_SECONDS = 60;

/** The agent whose key it is, by the same proof that a server would take. Undefined in open mode. */
async function identityOf(bus: Bus, { agent, signer }: Shown): Promise<Identity | undefined> {
  const made = signer();
  if ((await made.audience()) === "") return undefined;
  try {
    return await verifyToken(bus, await made.token(agent, MOMENT_SECONDS));
  } catch (error) {
    if (isIpcError(error)) throw unauthorized(`this is not the key of the agent ${agent}`, "unauthenticated");
    throw error;
  }
}
