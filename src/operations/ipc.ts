import type { Bus } from "../core/bus.ts";
import { conflict, invalid, notFound, unauthorized } from "../core/errors.ts";
import { MAX_WAIT_SECONDS } from "../core/limits.ts";
import { type BrokerAnswer, type BrokerRequest, formatAddress, parseAddress } from "../core/link.ts";
import type { Message } from "../core/messages.ts";
import { content, type InputOf, ids, name, oneOf, optional, seconds, text, whole } from "./fields.ts";
import { fetchMail, listMailboxes, postMail, waitMail } from "./mailboxes.ts";
import { type Context, defineOperation, type FollowUp, type Operation } from "./operation.ts";
import { perform } from "./perform.ts";
import { receiveTcp } from "./tcp.ts";

const BROKER_PORT = 19_901;
const RECEIVE_PORT = 19_900;
const WAIT_SECONDS = 60;
const ANSWER_SECONDS = 10;

const NAMES = [
  "send",
  "receive",
  "ping",
  "broker_start",
  "broker_stop",
  "post",
  "fetch",
  "wait",
  "broker_status",
] as const;

const input = {
  operation: oneOf("What to do", NAMES),
  host: optional(text("host:port")),
  port: optional(whole("A port", { least: 1, most: 65_535 })),
  bind: optional(text("Where to listen (127.0.0.1)")),
  to: optional(name("Whose mailbox")),
  from: optional(name("Who posts it")),
  message: optional(content("What it says")),
  mailbox: optional(name("Whose mailbox")),
  timeout: optional(seconds("Wait this many seconds at most")),
} as const;

type Asked = InputOf<typeof input>;

/** What came of it: a sentence, what others wrote, and what follows once that has arrived or got lost. */
export interface Done {
  readonly text: string;
  readonly words?: readonly { readonly from: string; readonly text: string }[];
  readonly arrived?: FollowUp | undefined;
  readonly lost?: FollowUp | undefined;
}

type Doing = (bus: Bus, asked: Asked, context: Context) => Promise<Done>;

/** The broker of another process is told what has arrived there; one that knows no such thing has forgotten it already. */
const settleAfar = defineOperation({
  name: "ipc settle",
  summary: "Tell a broker that messages have arrived",
  examples: [],
  access: { level: "anyone" },
  hidden: true,
  input: { fields: { port: whole("Its port", { least: 1 }), mailbox: name("Whose"), ids: ids("Which") } },
  run: async (bus, { port, mailbox, ids }, { signal }) => {
    await bus.brokers.ask(port, { op: "settle", mailbox, ids }, signal);
  },
  output: { text: () => "" },
});

const within = ({ timeout }: Asked, usual: number) => Math.min(timeout || usual, MAX_WAIT_SECONDS);

const doings: Readonly<Record<(typeof NAMES)[number], Doing>> = {
  send: async (bus, asked, { signal }) => {
    const address = parseAddress(needed(asked, "host"), RECEIVE_PORT);
    const milliseconds = within(asked, ANSWER_SECONDS) * 1_000;
    await bus.link.send(address, needed(asked, "message"), { milliseconds, signal });
    return { text: `Message sent to ${formatAddress(address)}` };
  },

  receive: async (bus, asked, { signal }) => {
    const { port = RECEIVE_PORT, bind: host = "127.0.0.1" } = asked;
    const timeout = within(asked, WAIT_SECONDS);
    const received = await bus.link.receive({ host, port }, { milliseconds: timeout * 1_000, signal });
    if (received === undefined) throw conflict(`no message came to port ${port} within ${timeout}s`);
    const answer = { receipt: received.receipt };
    return {
      text: `Message on port ${port}`,
      words: [received],
      arrived: receiveTcp.after?.delivered?.(answer, {}),
      lost: receiveTcp.after?.lost?.(answer, {}),
    };
  },

  ping: async (bus, asked, { signal }) => {
    const address = parseAddress(needed(asked, "host"), RECEIVE_PORT);
    const milliseconds = within(asked, ANSWER_SECONDS) * 1_000;
    const took = await bus.link.ping(address, { milliseconds, signal });
    return { text: `PONG from ${formatAddress(address)}, RTT ${took.toFixed(2)} ms` };
  },

  broker_start: async (bus, { port = BROKER_PORT, bind: host = "127.0.0.1" }) => {
    const started = await bus.brokers.start({ host, port });
    if (started === "found") return { text: `Broker already running on port ${port} (another process). Ready to use.` };
    if (started === "own") return { text: `Broker already running on port ${port} (this process)` };
    return { text: `Broker started on ${formatAddress({ host, port })}. Use post/fetch/wait with port=${port}.` };
  },

  broker_stop: async (bus, { port = BROKER_PORT }) => {
    if (await bus.brokers.stop(port)) return { text: `Broker stopped (port ${port})` };
    throw conflict(`no broker running in this process (port ${port})`);
  },

  post: async (bus, asked, context) => {
    const { port = BROKER_PORT, from = context.caller.identity?.agent ?? "anonymous" } = asked;
    const [to, message] = [needed(asked, "to"), needed(asked, "message")];
    const answer = await afar(bus, port, { op: "post", to, from, msg: message }, context);
    if (answer === undefined) await perform(bus, postMail, { to, from, message }, context);
    return { text: `Posted to mailbox ${JSON.stringify(to)} (${answer?.info ?? "queued"}, port ${port})` };
  },

  fetch: async (bus, asked, context) => {
    const mailbox = needed(asked, "mailbox");
    const handed = await take(bus, asked, fetchMail, { op: "fetch", mailbox, ack: "manual" }, context);
    const count = handed.words?.length ?? 0;
    if (count === 0) return { text: `No messages in mailbox ${JSON.stringify(mailbox)}` };
    return { ...handed, text: `${count} message(s) in mailbox ${JSON.stringify(mailbox)}:` };
  },

  wait: async (bus, asked, context) => {
    const mailbox = needed(asked, "mailbox");
    const timeout = within(asked, WAIT_SECONDS);
    const handed = await take(bus, asked, waitMail, { op: "wait", mailbox, timeout, ack: "manual" }, context);
    if (handed.words?.length) return { ...handed, text: `Message in mailbox ${JSON.stringify(mailbox)}:` };
    throw conflict(`wait timed out after ${timeout}s -- no message in mailbox ${JSON.stringify(mailbox)}`);
  },

  broker_status: async (bus, { port = BROKER_PORT }, context) => {
    const answer = await afar(bus, port, { op: "status" }, context);
    if (answer === undefined && !bus.brokers.owns(port)) {
      throw notFound(`broker not reachable on port ${port}. Start it first: operation=broker_start`);
    }
    const counts = answer === undefined ? await ownCounts(bus, context) : Object.entries(Object(answer.mailboxes));
    if (counts.length === 0) return { text: `Broker on port ${port}: no active mailboxes` };
    const lines = counts.map(([mailbox, count]) => `${mailbox}: ${count} queued`);
    return { text: `Broker on port ${port}:`, words: [{ from: "broker", text: lines.join("\n") }] };
  },
};

export const ipcTool = defineOperation({
  name: "ipc",
  summary: "Do one of the nine things that the TCP tool `ipc` does",
  examples: [],
  access: {
    level: "actor",
    subject: ({ mailbox }) => (mailbox === undefined ? {} : { agent: mailbox, channel: `@${mailbox}` }),
  },
  hidden: true,
  input: { fields: input, positionals: ["operation"] },
  run: async (bus, asked, context) => {
    if (context.caller.from === "beyond")
      throw unauthorized("ports are opened by those on this machine", "from_beyond");
    return await doings[asked.operation](bus, asked, context);
  },
  after: { delivered: ({ arrived }) => arrived, lost: ({ lost }) => lost },
  output: {
    text: ({ text, words = [] }) =>
      [text, ...words.map((one) => `from=${JSON.stringify(one.from)}\n${one.text}`)].join("\n"),
    model: ({ text, words = [] }, _, quote) => [text, ...words.map(quote)].join("\n"),
  },
  tool: {
    name: "ipc",
    about:
      "TCP messages. Point-to-point: receive at a port, send/ping host:port. Mailboxes of a broker: post, fetch, wait.",
    arguments: {
      operation: { about: "" },
      host: { about: "host:port, for send, ping" },
      port: { about: "receive 19900, broker 19901" },
      bind: { about: "127.0.0.1" },
      to: { about: "" },
      from: { about: "" },
      message: { about: "" },
      mailbox: { about: "Yours" },
      timeout: { about: "Seconds, at most 300" },
    },
  },
});

function needed(asked: Asked, field: "host" | "message" | "to" | "mailbox"): string {
  const value = asked[field];
  if (value === undefined) throw invalid(`${field} is required`);
  return value;
}

/** Asks the broker that another process has on a port. Undefined where it is ours or nobody is there: then it is the bus. */
async function afar(
  bus: Bus,
  port: number,
  request: BrokerRequest,
  { signal }: Context,
): Promise<BrokerAnswer | undefined> {
  if (bus.brokers.owns(port)) return undefined;
  const answer = await bus.brokers.ask(port, request, signal);
  if (answer === undefined || answer.ok === true || String(answer.error).startsWith("wait timed out")) return answer;
  throw conflict(`${request.op} failed: ${answer.error}`);
}

/** Takes messages out of a mailbox, wherever it is; they are consumed once they have arrived. */
async function take(
  bus: Bus,
  { port = BROKER_PORT }: Asked,
  near: Operation,
  request: BrokerRequest,
  context: Context,
): Promise<Omit<Done, "text">> {
  const { op: _, ...asked } = request;
  const answer = await afar(bus, port, request, context);
  if (answer !== undefined) {
    const messages = listIn(answer.messages ?? (answer.message === undefined ? [] : [answer.message]));
    const ids = messages.map(({ id }) => id).filter((id) => typeof id === "number");
    const arrived =
      ids.length === 0 ? undefined : { operation: settleAfar, input: { port, mailbox: asked.mailbox, ids } };
    return { words: messages.map(({ from, msg }) => ({ from: String(from), text: String(msg) })), arrived };
  }
  const taken = await perform(bus, near, asked, context);
  const found = Object(taken);
  const messages: readonly Message[] = found.messages ?? (found.message === undefined ? [] : [found.message]);
  return {
    words: messages.map(({ sender, content }) => ({ from: sender, text: content })),
    arrived: near.after?.delivered?.(taken, { mailbox: asked.mailbox }),
    lost: near.after?.lost?.(taken, { mailbox: asked.mailbox }),
  };
}

async function ownCounts(bus: Bus, context: Context): Promise<[string, number][]> {
  const { mailboxes } = Object(await perform(bus, listMailboxes, {}, context));
  return listIn(mailboxes).flatMap(({ mailbox, unread }) =>
    Number(unread) > 0 ? [[String(mailbox), Number(unread)]] : [],
  );
}

function listIn(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.map(Object) : [];
}
