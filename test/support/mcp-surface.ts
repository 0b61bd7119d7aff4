// The bus as a model has it: tools alone, and what their answers say, read back from the marks that stand around it.
import type { TemporaryBus } from "./bus.ts";
import { type Model, NEWEST, type Options, stdio, streamable } from "./mcp.ts";
import type { Server } from "./program.ts";

/** What is marked as somebody's words, with what stands before it. */
const QUOTED = /(?:#(\d+) )?<data from="([^"]*)" trust="(\w+)">([\s\S]*?)<\/data>/g;

interface Quoted {
  readonly id: number;
  readonly from: string;
  readonly trust: string;
  readonly text: string;
}

function quotedIn(answer: string): readonly Quoted[] {
  return [...answer.matchAll(QUOTED)].map(([, id, from = "", trust = "", text = ""]) => ({
    id: Number(id),
    from,
    trust,
    text: text
      .replace(/\\u\{([0-9a-f]+)\}/g, (_, code: string) => String.fromCodePoint(Number.parseInt(code, 16)))
      .replaceAll("&lt;", "<"),
  }));
}

/**
 * Sends over standard input and output as the agent that the client was started for, and reads over Streamable HTTP. A
 * model has no watermark: `since_id` is the last message that it has seen, so its place is in its own memory.
 */
export function modelOn({ environment }: TemporaryBus, server: Server, tcpPort: () => Promise<number>) {
  const seen = new Map<string, number>();
  const place = { environment, server };
  const asking = async <T>(ask: (model: Model) => Promise<T>, options?: Options): Promise<T> => {
    const way = options === undefined ? streamable(NEWEST) : stdio();
    await using model = await way.connect(place, options);
    try {
      return await ask(model);
    } catch (error) {
      throw new Error(String(Object(error).message).replace(/^\w+: /, ""));
    }
  };
  const reading = async (channel: string, agent: string, { moves = true, ...given }) => {
    const mark = `${channel}\n${agent}`;
    const since_id = seen.get(mark) ?? 0;
    const answer = await asking((model) => model.call("read_messages", { channel, since_id, ...given }));
    const messages = quotedIn(answer).map(({ id, from, trust, text }) => ({
      ...{ id, sender: from, content: text, timestamp: 0 },
      ...(trust === "verified" ? { signed: true } : {}),
    }));
    if (moves) seen.set(mark, messages.at(-1)?.id ?? since_id);
    return messages;
  };
  const ipc = (given: object) =>
    asking(async (model) => quotedIn(await model.call("ipc", { port: await tcpPort(), ...given })), {});
  return {
    async send({ channel, sender, content, key }: { channel: string; sender: string; content: string; key?: string }) {
      const started = { environment: { IPC_AGENT: sender, ...(key === undefined ? {} : { IPC_KEY: key }) } };
      const sent = await asking((model) => model.call("send_message", { channel, message: content }), started);
      return Number(/^Sent as #(\d+)$/.exec(sent)?.[1]);
    },
    read: (channel: string, agent: string) => reading(channel, agent, {}),
    look: (channel: string, agent: string) => reading(channel, agent, { moves: false }),
    wait: (channel: string, agent: string) => reading(channel, agent, { timeout: 20 }),
    async acknowledge(channel: string, agent: string, id: number) {
      const mark = `${channel}\n${agent}`;
      seen.set(mark, Math.max(seen.get(mark) ?? 0, id));
      return seen.get(mark) ?? 0;
    },
    async channels() {
      const [{ text = "" } = {}] = quotedIn(await asking((model) => model.call("list_channels")));
      return [...text.matchAll(/^(.*): (\d+)$/gm)].map(([, channel = "", count]) => ({
        channel,
        count: Number(count),
      }));
    },
    async post(to: string, from: string, message: string) {
      await ipc({ operation: "post", to, from, message });
    },
    fetch: async (mailbox: string) =>
      (await ipc({ operation: "fetch", mailbox })).map(({ from, text }): [string, string] => [from, text]),
  };
}
