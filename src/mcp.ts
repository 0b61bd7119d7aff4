import { readFile } from "./client/files.ts";
import { createSigner, tokenFor } from "./client/signer.ts";
import { openServer } from "./client.ts";
import type { Identity } from "./core/access.ts";
import type { Bus } from "./core/bus.ts";
import { isIpcError, unauthorized } from "./core/errors.ts";
import { readPrivateKey } from "./core/keys.ts";
import { verifyToken } from "./core/token.ts";
import { createUserState, type Environment } from "./environment.ts";
import { openBus } from "./open.ts";
import { listToolOperations } from "./operations/index.ts";
import type { Signer } from "./operations/operation.ts";
import { createLocalEndpoint, type Endpoint } from "./operations/perform.ts";
import type { ClientIdentity } from "./surfaces/mcp/call.ts";
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
  const key = keyFile === undefined ? undefined : readPrivateKey(readFile(keyFile));
  const knownServers = createUserState(environment.configFolder);
  await using bus = await openEndpoints(environment, url, signal, () =>
    signer && agent !== undefined ? { signer, agent } : undefined,
  );
  /** Made for each call: a bus may get an operator, and so a name to sign for, while this runs. */
  const signer =
    key && (() => createSigner({ key, ask: bus.asNobody.ask, url, knownServers, warn: console.error, signal }));
  const identity: ClientIdentity = { agent, signer, help: HELP };
  const reportFault = (error: unknown) => void (environment.debug && console.error(error));
  const operations = listToolOperations();
  const { stdin: input, stdout: output } = process;
  await serveStdioMcp({ version, operations, endpoint: bus.asAgent, identity, input, output, reportFault }, signal);
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

interface Endpoints extends AsyncDisposable {
  /** Requests are made as the agent. */
  readonly asAgent: Endpoint;
  /** Requests are made without saying who asks. */
  readonly asNobody: Endpoint;
}

/** The bus on this machine, or behind a server, which asks for a token itself only where it wants one. */
async function openEndpoints(
  environment: Environment,
  url: string | undefined,
  signal: AbortSignal,
  shown: () => Shown | undefined,
): Promise<Endpoints> {
  if (url === undefined) {
    const bus = await openBus(environment, { port: () => environment.port, signal });
    return {
      asAgent: localEndpoint(bus, shown),
      asNobody: localEndpoint(bus, () => undefined),
      [Symbol.asyncDispose]: () => bus[Symbol.asyncDispose](),
    };
  }
  const { apiKey, token } = environment;
  const server = await openServer({
    url,
    apiKey,
    token: async () => token ?? tokenFor(shown()?.agent, shown()?.signer()),
  });
  return { asAgent: server, asNobody: server, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/**
 * The bus in this process. A model must prove as much as any client on this machine: that somebody who may open the
 * database started it doesn't make it an agent of the bus.
 */
function localEndpoint(bus: Bus, shown: () => Shown | undefined): Endpoint {
  const identified = async () => {
    const who = shown();
    const identity = who && (await identityOf(bus, who));
    return createLocalEndpoint(bus, { from: "local", admitted: false, hasKey: false, identity });
  };
  return {
    ask: async (...request) => (await identified()).ask(...request),
    settle: async (...answer) => (await identified()).settle(...answer),
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
