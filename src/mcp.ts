import type { KeyObject } from "node:crypto";
import type { Bus } from "./core/bus.ts";
import type { Identity } from "./core/caller.ts";
import { isIpcError, unauthorized } from "./core/errors.ts";
import { readPrivateKey } from "./core/keys.ts";
import { TOKEN_SECONDS } from "./core/limits.ts";
import { verifyToken } from "./core/token.ts";
import type { Environment } from "./environment.ts";
import { createNotes } from "./notes.ts";
import { openBus } from "./open.ts";
import { operations } from "./operations/index.ts";
import type { Signer } from "./operations/operation.ts";
import { type Door, perform } from "./operations/perform.ts";
import { createSigner } from "./operations/signer.ts";
import { readFile } from "./surfaces/cli/terminal.ts";
import { httpDoor } from "./surfaces/http/client.ts";
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
  /** Made for each call: a bus may get an operator, and so a name to sign for, while this runs. */
  const signerFor = (key: KeyObject, door: Door) => () =>
    createSigner({ key, door, url, pins, warn: console.error, signal });

  await using bus = url === undefined ? await openBus(environment, { port: () => environment.port }) : undefined;
  const bare = bus === undefined ? farDoor(environment, url ?? "") : nearDoor(bus);
  const signer = key && signerFor(key, bare());
  const door = bare(signer && agent !== undefined ? { signer, agent } : undefined);
  const client: Client = { door, agent, signer, help: HELP };
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

/**
 * A model is asked for as much as any client on this machine: that it was started by somebody who may open the database
 * doesn't make it an agent of the bus.
 */
function nearDoor(bus: Bus): (shown?: Shown) => Door {
  return (shown) => async (operation, input, signal) => {
    const identity = shown && (await identityOf(bus, shown));
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

function farDoor({ apiKey, token }: Environment, url: string): (shown?: Shown) => Door {
  return (shown) => {
    const made = async () => {
      const signer = shown?.signer();
      return shown && signer && (await signer.audience()) !== "" ? signer.token(shown.agent, TOKEN_SECONDS) : undefined;
    };
    return httpDoor({ url, apiKey, token: async () => token ?? (await made()) });
  };
}
