import type { Bus } from "../core/bus.ts";
import { conflict, invalid, notFound, unauthorized } from "../core/errors.ts";
import type { JsonObject } from "../core/json.ts";
import { MAX_WAIT_SECONDS } from "../core/limits.ts";
import { formatAddress, parseAddress } from "../core/link.ts";
import type { Message } from "../core/messages.ts";
import { content, type InputOf, name, oneOf, optional, seconds, text, whole } from "./fields.ts";
import { fetchMail, listMailboxes, postMail, waitMail } from "./mailboxes.ts";
import {
  type AnswerTo,
  type Context,
  defineOperation,
  type Operation,
  parseRequest,
  type Request,
} from "./operation.ts";
import { perform, settle } from "./perform.ts";
import { RECEIVE_PORT } from "./tcp.ts";

const BROKER_PORT = 19_901;
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
  port: optional(whole("A port", { min: 1, max: 65_535 })),
  bind: optional(text("Where to listen (127.0.0.1)")),
  to: optional(name("The mailbox's owner")),
  from: optional(name("The sender")),
  message: optional(content("What it says")),
  mailbox: optional(name("The mailbox's owner")),
  timeout: optional(seconds("Wait at most this many seconds")),
} as const;

type IpcInput = InputOf<typeof input>;

/** Our sentence, others' texts, and the follow-up once the answer was delivered or lost. */
export interface IpcAnswer {
  readonly text: string;
  readonly quoted?: readonly { readonly from: string; readonly text: string }[];
  readonly settle?: (isDelivered: boolean) => Promise<void>;
}

type Handler = (bus: Bus, input: IpcInput, context: Context) => Promise<IpcAnswer>;

const within = ({ timeout }: IpcInput, fallback: number) => Math.min(timeout || fallback, MAX_WAIT_SECONDS);

const handlers: Readonly<Record<(typeof NAMES)[number], Handler>> = {
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
    return {
      text: `Message on port ${port}`,
      quoted: [received],
      settle: (isDelivered) => bus.link.settle(received.receipt, isDelivered),
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
    const answer = await askOtherBroker(bus, port, { op: "post", to, from, msg: message }, context);
    if (answer === undefined) await perform(bus, parseRequest(postMail, { to, from, message }), context);
    return { text: `Posted to mailbox ${JSON.stringify(to)} (${answer?.info ?? "queued"}, port ${port})` };
  },

  fetch: async (bus, asked, context) => {
    const mailbox = needed(asked, "mailbox");
    const { port = BROKER_PORT } = asked;
    const mail =
      (await takeFromOtherBroker(bus, port, { op: "fetch", mailbox }, context)) ??
      (await takeMail(bus, parseRequest(fetchMail, { mailbox }), ({ messages }) => messages, context));
    const count = mail.quoted.length;
    if (count === 0) return { text: `No messages in mailbox ${JSON.stringify(mailbox)}` };
    return { ...mail, text: `${count} message(s) in mailbox ${JSON.stringify(mailbox)}:` };
  },

  wait: async (bus, asked, context) => {
    const mailbox = needed(asked, "mailbox");
    const timeout = within(asked, WAIT_SECONDS);
    const { port = BROKER_PORT } = asked;
    const mail =
      (await takeFromOtherBroker(bus, port, { op: "wait", mailbox, timeout }, context)) ??
      (await takeMail(
        bus,
        parseRequest(waitMail, { mailbox, timeout }),
        (answer) => (answer === null ? [] : [answer.message]),
        context,
      ));
    if (mail.quoted.length > 0) return { ...mail, text: `Message in mailbox ${JSON.stringify(mailbox)}:` };
    throw conflict(`wait timed out after ${timeout}s -- no message in mailbox ${JSON.stringify(mailbox)}`);
  },

  broker_status: async (bus, { port = BROKER_PORT }, context) => {
    const answer = await askOtherBroker(bus, port, { op: "status" }, context);
    if (answer === undefined && !bus.brokers.owns(port)) {
      throw notFound(`broker not reachable on port ${port}. Start it first: operation=broker_start`);
    }
    const counts = answer === undefined ? await countUnread(bus, context) : Object.entries(Object(answer.mailboxes));
    if (counts.length === 0) return { text: `Broker on port ${port}: no active mailboxes` };
    const lines = counts.map(([mailbox, count]) => `${mailbox}: ${count} queued`);
    return { text: `Broker on port ${port}:`, quoted: [{ from: "broker", text: lines.join("\n") }] };
  },
};

export const ipcTool = defineOperation({
  name: "ipc",
  summary: "Run one of the nine operations of the TCP tool `ipc`",
  examples: [],
  access: {
    level: "actor",
    subject: ({ mailbox }) => (mailbox === undefined ? {} : { agent: mailbox, channel: `@${mailbox}` }),
  },
  input: { fields: input, positionals: ["operation"] },
  run: async (bus, asked, context) => {
    if (context.caller.from === "beyond")
      throw unauthorized("ports are opened by those on this machine", "from_beyond");
    return await handlers[asked.operation](bus, asked, context);
  },
  after: {
    delivered: async (_, { settle }) => await settle?.(true),
    lost: async (_, { settle }) => await settle?.(false),
  },
  output: {
    text: ({ text, quoted = [] }) =>
      [text, ...quoted.map((one) => `from=${JSON.stringify(one.from)}\n${one.text}`)].join("\n"),
    model: ({ text, quoted = [] }, _, quote) => [text, ...quoted.map(quote)].join("\n"),
  },
  tool: {
    name: "ipc",
    description:
      "TCP messages. Point-to-point: receive at a port, send/ping host:port. Mailboxes of a broker: post, fetch, wait.",
    arguments: {
      operation: { description: "" },
      host: { description: "host:port, for send, ping" },
      port: { description: "receive 19900, broker 19901" },
      bind: { description: "127.0.0.1" },
      to: { description: "" },
      from: { description: "" },
      message: { description: "" },
      mailbox: { description: "Yours" },
      timeout: { description: "Seconds, at most 300" },
    },
  },
});

function needed(asked: IpcInput, field: "host" | "message" | "to" | "mailbox"): string {
  const value = asked[field];
  if (value === undefined) throw invalid(`${field} is required`);
  return value;
}

/** Asks another process's broker. Undefined where there is none on the port: the bus itself answers then. */
async function askOtherBroker(
  bus: Bus,
  port: number,
  request: JsonObject,
  { signal }: Context,
): Promise<JsonObject | undefined> {
  if (bus.brokers.owns(port)) return undefined;
  const answer = await bus.brokers.ask(port, request, signal);
  if (answer === undefined || answer.ok === true || String(answer.error).startsWith("wait timed out")) return answer;
  throw conflict(`${request.op} failed: ${answer.error}`);
}

type TakenMail = Required<Pick<IpcAnswer, "quoted" | "settle">>;

/** Takes messages from another broker. One that doesn't know `settle` has forgotten them already. */
async function takeFromOtherBroker(
  bus: Bus,
  port: number,
  request: JsonObject,
  context: Context,
): Promise<TakenMail | undefined> {
  const answer = await askOtherBroker(bus, port, { ...request, ack: "manual" }, context);
  if (answer === undefined) return undefined;
  const messages = listIn(answer.messages ?? (answer.message === undefined ? [] : [answer.message]));
  const ids = messages.map(({ id }) => id).filter((id) => typeof id === "number");
  return {
    quoted: messages.map(({ from, msg }) => ({ from: String(from), text: String(msg) })),
    settle: async (isDelivered) => {
      if (!isDelivered || ids.length === 0) return;
      await bus.brokers.ask(port, { op: "settle", mailbox: request.mailbox, ids }, context.signal);
    },
  };
}

async function takeMail<O extends Operation>(
  bus: Bus,
  request: Request<O>,
  messagesIn: (answer: AnswerTo<O>) => readonly Message[],
  context: Context,
): Promise<TakenMail> {
  const answer = await perform(bus, request, context);
  return {
    quoted: messagesIn(answer).map(({ sender, content }) => ({ from: sender, text: content })),
    settle: (isDelivered) => settle(bus, request, answer, isDelivered, context),
  };
}

async function countUnread(bus: Bus, context: Context): Promise<[string, number][]> {
  const { mailboxes } = await perform(bus, parseRequest(listMailboxes, {}), context);
  return mailboxes.flatMap(({ mailbox, unread }): [string, number][] => (unread > 0 ? [[mailbox, unread]] : []));
}

function listIn(value: unknown): readonly JsonObject[] {
  return Array.isArray(value) ? value.map(Object) : [];
}
