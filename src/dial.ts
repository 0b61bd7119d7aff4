import type { KeyObject } from "node:crypto";
import { readFile } from "./client/files.ts";
import { trustAnswer } from "./client/remote.ts";
import { createSigner } from "./client/signer.ts";
import { invalid } from "./core/errors.ts";
import { readPrivateKey } from "./core/keys.ts";
import { TOKEN_SECONDS } from "./core/limits.ts";
import { messageBytes, sign } from "./core/signature.ts";
import { createUserState, type Environment } from "./environment.ts";
import { isLoopback } from "./server/addresses.ts";
import { askServer, type Dial, type SignMessage } from "./surfaces/agent-msg/websocket.ts";
import type { FrameConnection } from "./wire/frames.ts";

type Headers = Readonly<Record<string, string>>;

/**
 * Creates a dialer for WebSocket servers. The agent proves its identity by an Authorization header, by IPC_TOKEN, or by a
 * token signed with its key. Otherwise IPC_API_KEY is sent.
 */
export function createDialer(
  { token, apiKey, keyFile, configFolder }: Environment,
  warn: (sentence: string) => void,
  signal: AbortSignal,
) {
  const knownServers = createUserState(configFolder);
  const readKey = keyFile === undefined ? undefined : () => readPrivateKey(readFile(keyFile));

  /** Makes a token for the server's bus, whose name a first connection without a token asks for. */
  const createToken = async (agent: string, url: string, headers: Headers, key: KeyObject) => {
    await using connection = await openConnection(url, headers);
    const frames = connection.frames[Symbol.asyncIterator]();
    const signer = createSigner({
      key,
      ask: async (request) => trustAnswer(request, await askServer(connection, frames, request.operation.name)),
      url: url.replace(/^ws/, "http"),
      knownServers,
      warn,
      signal,
    });
    return (await signer.audience()) === "" ? undefined : await signer.token(agent, TOKEN_SECONDS);
  };

  const dialer =
    (agent: string, url: string, headers: Headers): Dial =>
    async () => {
      if (Object.keys(headers).some((name) => name.toLowerCase() === "authorization")) {
        return await openConnection(url, headers);
      }
      const withApiKey = apiKey === undefined ? headers : { Authorization: `Bearer ${apiKey}`, ...headers };
      const shown = token ?? (readKey && (await createToken(agent, url, withApiKey, readKey())));
      if (shown === undefined) return await openConnection(url, withApiKey);
      refuseOverheard(url);
      return await openConnection(url, { Authorization: `Bearer ${shown}`, ...headers });
    };
  const signMessage: SignMessage | undefined =
    readKey && ((message, stamp) => sign(messageBytes(message, stamp), readKey()));
  return { dialer, sign: signMessage };
}

async function openConnection(url: string, headers: Headers): Promise<FrameConnection> {
  const { connectWebSocket } = await import("./surfaces/websocket/client.ts");
  return await connectWebSocket(url, headers);
}

function refuseOverheard(url: string): void {
  const { protocol, hostname, origin, host } = URL.canParse(url) ? new URL(url) : new URL("ws://127.0.0.1");
  if (protocol === "wss:" || isLoopback(hostname)) return;
  throw invalid(`a token is sent over wss, or to this machine, and not to ${origin === "null" ? host : origin}`);
}
