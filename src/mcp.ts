import { createSigner, needsIdentity, tokenFor } from "./client/signer.ts";
import { loadKey, openServer } from "./client.ts";
import type { Identity } from "./core/access.ts";
import type { Bus } from "./core/bus.ts";
import { isIpcError, unauthorized } from "./core/errors.ts";
import { verifyToken } from "./core/token.ts";
import { createUserState, type Environment } from "./environment.ts";
import { openBus } from "./open.ts";
import { listToolOperations } from "./operations/index.ts";
import type { Signer } from "./operations/operation.ts";
import { createLocalEndpoint, type Endpoint } from "./operations/perform.ts";
import { serveStdioMcp } from "./surfaces/mcp/stdio.ts";

export interface Serving {
  readonly agent: string | undefined;
  readonly keyFile: string | undefined;
  readonly url: string | undefined;
}

/** Serves a bus to an MCP client over standard input and output. */
export async function serveMcp(
  environment: Environment,
  version: string,
  { agent, keyFile, url }: Serving,
  signal: AbortSignal,
): Promise<void> {
  const key = loadKey(keyFile);
  const knownServers = createUserState(environment.configFolder);
  /** Made for each call: a bus may get an operator, and so a DID to sign for, while this runs. */
  const signer =
    key &&
    ((): Signer =>
      createSigner({ key, ask: (...request) => bus.ask(...request), url, knownServers, warn: console.error, signal }));
  const proof = signer && agent !== undefined ? { agent, signer } : undefined;
  const { apiKey, token, debug } = environment;
  await using bus =
    url === undefined
      ? await openLocal(environment, proof, signal)
      : await openServer({ url, apiKey, token: async () => token ?? (proof && tokenFor(agent, proof.signer())) });
  const reportFault = (error: unknown) => void (debug && console.error(error));
  const { stdin: input, stdout: output } = process;
  const identity = { agent, signer, help: HELP };
  const operations = listToolOperations();
  await serveStdioMcp({ version, operations, endpoint: bus, identity, input, output, reportFault }, signal);
}

const HELP = [
  "This server must know which agent you are. Ask your user to start it with IPC_AGENT set to a registered agent and",
  "IPC_KEY to the file of its private key (`el-ipc keygen`, `el-ipc register`).",
].join(" ");

interface Proof {
  readonly agent: string;
  readonly signer: () => Signer;
}

/**
 * The bus in this process. A model must prove as much as any client on this machine: it is no agent of the bus just
 * because its user may open the database.
 */
async function openLocal(
  environment: Environment,
  proof: Proof | undefined,
  signal: AbortSignal,
): Promise<Endpoint & AsyncDisposable> {
  const bus = await openBus(environment, { port: () => environment.port, signal });
  const endpointAs = (identity: Identity | undefined) =>
    createLocalEndpoint(bus, { from: "local", admitted: false, hasKey: false, identity });
  const identify = async () => proof && (await identityOf(bus, proof));
  return {
    // The proof itself asks for the bus's DID, without an identity.
    ask: async (request, signal) =>
      endpointAs(needsIdentity(request) ? await identify() : undefined).ask(request, signal),
    settle: async (...answer) => endpointAs(await identify()).settle(...answer),
    [Symbol.asyncDispose]: () => bus[Symbol.asyncDispose](),
  };
}

const MOMENT_SECONDS = 60;

/** Identifies the agent by the proof that a server would demand. Undefined in open mode. */
async function identityOf(bus: Bus, { agent, signer }: Proof): Promise<Identity | undefined> {
  const made = signer();
  if ((await made.audience()) === "") return undefined;
  try {
    return await verifyToken(bus, await made.token(agent, MOMENT_SECONDS));
  } catch (error) {
    if (isIpcError(error)) throw unauthorized(`this is not the key of the agent ${agent}`, "unauthenticated");
    throw error;
  }
}
