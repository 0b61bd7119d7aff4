import type { KeyObject } from "node:crypto";
import { createSigner } from "./client/signer.ts";
import { invalid } from "./core/errors.ts";
import { TOKEN_SECONDS } from "./core/limits.ts";
import { createNotes, type Environment } from "./environment.ts";
import { isLoopback } from "./server/loopback.ts";
import { answerTo, type Dial, type Talk } from "./surfaces/agent-msg/conversation.ts";

type Headers = Readonly<Record<string, string>>;

/** Connects to WebSocket servers and shows each who this is: by what is set for that, or by a token of the agent's key. */
export function dialer(
  { token, apiKey, configFolder }: Environment,
  key: (() => KeyObject) | undefined,
  warn: (sentence: string) => void,
  signal: AbortSignal,
) {
  const pins = createNotes(configFolder);

  /** Asked of the server itself, on a connection that shows nothing yet. */
  const tokenFor = async (agent: string, url: string, headers: Headers, signingKey: KeyObject) => {
    await using talk = await open(url, headers);
    const frames = talk.frames[Symbol.asyncIterator]();
    const signer = createSigner({
      key: signingKey,
      door: (operation) => answerTo(talk, frames, operation.name),
      url: url.replace(/^ws/, "http"),
      pins,
      warn,
      signal,
    });
    return (await signer.audience()) === "" ? undefined : await signer.token(agent, TOKEN_SECONDS);
  };

  return (agent: string, url: string, headers: Headers): Dial =>
    async () => {
      const named = Object.keys(headers).some((name) => name.toLowerCase() === "authorization");
      const shown = apiKey === undefined ? {} : { Authorization: `Bearer ${apiKey}` };
      const made =
        named || token !== undefined || key === undefined
          ? token
          : await tokenFor(agent, url, { ...shown, ...headers }, key());
      if (made !== undefined && !named) refuseOverheard(url);
      const proof = made === undefined ? shown : { Authorization: `Bearer ${made}` };
      return await open(url, { ...proof, ...headers });
    };
}

async function open(url: string, headers: Headers): Promise<Talk> {
  const { talkTo } = await import("./surfaces/websocket/client.ts");
  return await talkTo({ url, headers });
}

function refuseOverheard(url: string): void {
  const { protocol, hostname, origin, host } = URL.canParse(url) ? new URL(url) : new URL("ws://127.0.0.1");
  if (protocol === "wss:" || isLoopback(hostname)) return;
  throw invalid(`a token is sent over wss, or to this machine, and not to ${origin === "null" ? host : origin}`);
}
