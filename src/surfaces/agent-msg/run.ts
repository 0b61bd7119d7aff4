import { conflict, invalid, notFound } from "../../core/errors.ts";
import { type Arguments, helpOf, overview, parseArguments, type Verb, type VerbOption } from "./arguments.ts";
import { connect } from "./connect.ts";
import type { Context } from "./context.ts";
import { type NewLetter, sendLetter } from "./folder.ts";
import { poll, showInbox } from "./inbox.ts";
import { type Dial, isTemporary, pingAgent, sendByWebSocket } from "./websocket.ts";

interface RunnableVerb extends Verb {
  run(context: Context, given: Arguments): Promise<void>;
}

const PORT = "18790";

const SERVER: readonly VerbOption[] = [
  { flag: "url", short: "u", value: "url", description: "WebSocket server URL", byDefault: `ws://127.0.0.1:${PORT}` },
  {
    flag: "header",
    value: "name: text",
    description: "A header for the server, or for a proxy before it; more than one may be given",
  },
];

const AGENT = { "[agent]": "Agent name to check (default: hostname)" };

const verbs: readonly RunnableVerb[] = [
  {
    name: "register",
    summary: "Register this agent",
    words: { "[name]": "Agent name (default: hostname)" },
    options: [
      {
        flag: "type",
        short: "t",
        value: "type",
        description: "Agent type (claude-code, open-code, codex, openclaw, other)",
        byDefault: "other",
      },
    ],
    async run({ folder, print, self }, { words: [name = self], text }) {
      const type = text("type") ?? "";
      folder.register(name, type);
      print(`✓ Registered agent: ${name} (${type})`);
    },
  },
  { name: "list", summary: "List registered agents", words: {}, options: [], run: list },
  {
    name: "send",
    summary: "Send a message to an agent",
    words: { to: "Recipient agent name", message: "Message to send" },
    options: [
      { flag: "file", short: "f", description: "Use file-based messaging (default)" },
      { flag: "websocket", short: "w", description: "Use WebSocket messaging" },
      { flag: "from", short: "s", value: "name", description: "Sender agent name (default: hostname)" },
      { flag: "wait", description: "Wait for delivery confirmation (WebSocket only)" },
      { flag: "timeout", value: "seconds", description: "How long to wait for it", byDefault: "30" },
      ...SERVER,
    ],
    async run(context, given) {
      const [to = "", ...words] = given.words;
      const letter = { from: given.text("from") ?? context.self, to, message: words.join(" ") };
      if (!given.has("websocket")) return await send(context, letter);
      context.print(`Sending to ${to} via WebSocket...`);
      const milliseconds = parseSeconds(given.text("timeout")) * 1_000;
      const dial = dialerFor(context, letter.from, given);
      const { sign } = context;
      context.print(await sendByWebSocket(dial, { ...letter, wait: given.has("wait"), milliseconds, sign }));
    },
  },
  {
    name: "inbox",
    summary: "Check for new messages",
    words: AGENT,
    options: [{ flag: "all", short: "a", description: "Show all messages instead of just new ones" }],
    run: (context, { words: [agent = context.self], has }) => showInbox(context, agent, has("all")),
  },
  {
    name: "poll",
    summary: "Continuously poll for new messages",
    words: AGENT,
    options: [{ flag: "interval", short: "i", value: "ms", description: "Polling interval in ms", byDefault: "2000" }],
    run: (context, { words: [agent = context.self], text }) => poll(context, agent, parseInterval(text("interval"))),
  },
  {
    name: "server",
    summary: "Start WebSocket server for real-time messaging",
    words: {},
    options: [
      { flag: "port", short: "p", value: "port", description: "Port to listen on", byDefault: PORT },
      { flag: "host", value: "address", description: "Address to listen on", byDefault: "127.0.0.1" },
      { flag: "insecure", description: "Accept anyone who reaches the server, from anywhere, without a key" },
    ],
    run: (context, { text, has }) =>
      context.serve({ port: parsePort(text("port")), host: text("host") ?? "", insecure: has("insecure") }),
  },
  {
    name: "connect",
    summary: "Connect to WebSocket server for real-time messaging",
    words: {},
    options: [{ flag: "agent", short: "a", value: "name", description: "Agent name (default: hostname)" }, ...SERVER],
    async run(context, given) {
      const agent = given.text("agent") ?? context.self;
      using chat = context.openChat();
      const { sign, signal } = context;
      const dial = dialerFor(context, agent, given);
      await connect({ agent, url: given.text("url") ?? "", dial, sign, chat, signal });
    },
  },
  {
    name: "ping",
    summary: "Check if agent is online",
    words: { agent: "Agent name to ping" },
    options: SERVER,
    async run(context, given) {
      const [agent = ""] = given.words;
      context.print(`Pinging ${agent} at ${given.text("url")}...`);
      const dial = dialerFor(context, context.self, given);
      const { isOnline, milliseconds } = await pingAgent(dial, agent).catch((error: unknown) => {
        throw isTemporary(error) ? conflict(`✗ Agent ${agent} is offline or server not running`) : error;
      });
      if (!isOnline) throw conflict(`✗ Agent ${agent} is offline`);
      context.print(`✓ Agent ${agent} is online (responded in ${milliseconds}ms)`);
    },
  },
];

async function list({ folder, openMailboxes, self, print }: Context): Promise<void> {
  const inFolder = folder.agents();
  const mailboxes = await openMailboxes(self);
  const onBus = ((await mailboxes?.recipients()) ?? []).filter(
    ({ name }) => !inFolder.some((agent) => agent.name === name),
  );
  if (inFolder.length === 0) print('No agents registered. Run "agent-msg register <name>" first.');
  else print("Registered agents:");
  for (const { name, type, registered } of inFolder) print(`  ${name} (${type}) - registered ${registered}`);
  if (onBus.length > 0) print("On the bus:");
  for (const { name, kind } of onBus) print(`  ${name} (${kind})`);
}

async function send({ folder, openMailboxes, print }: Context, letter: NewLetter): Promise<void> {
  const { from, to, message } = letter;
  const id = await sendLetter(folder, { ...letter, status: "sent" }, async () => {
    const mailboxes = await openMailboxes(from);
    return await mailboxes?.send(from, to, message);
  });
  if (id === undefined) throw notFound(`Agent "${to}" not found. Run "agent-msg list" to see registered agents.`);
  print(`✓ Message sent to ${to} (${id})`);
}

function dialerFor(context: Context, agent: string, { text, all }: Arguments): Dial {
  return context.dialer(agent, text("url") ?? "", Object.fromEntries(all("header").map(parseHeader)));
}

function parseHeader(line: string): readonly [string, string] {
  const [, name, text] = /^([\w!#$%&'*+.^`|~-]+):[ \t]*([^\r\n\0]*)$/.exec(line) ?? [];
  if (name !== undefined && text !== undefined) return [name, text];
  throw invalid(`--header takes "name: text", not ${JSON.stringify(line)}`);
}

function parsePort(text: string | undefined): number {
  const port = Number(text);
  if (/^\d+$/.test(text ?? "") && port <= 65_535) return port;
  throw invalid(`the port must be a number from 0 to 65535, not '${text}'`);
}

function parseSeconds(text: string | undefined): number {
  const value = Number(text);
  if (value > 0 && value <= 86_400) return value;
  throw invalid(`the timeout must be a number of seconds, not '${text}'`);
}

function parseInterval(text: string | undefined): number {
  const value = Number.parseInt(text ?? "", 10);
  if (value >= 1 && value < 2 ** 31) return value;
  throw invalid(`the interval must be a number of milliseconds, 1 or more, not '${text}'`);
}

export async function run(context: Context, version: string, typed: readonly string[]): Promise<void> {
  const [first, ...rest] = typed;
  if (first === "--version" || first === "-V") return context.print(version);
  if (first === undefined || first === "--help" || first === "-h" || first === "help") {
    const [named] = rest;
    return context.print(named === undefined ? overview(verbs) : helpOf(findVerb(named)));
  }
  const verb = findVerb(first);
  const given = parseArguments(verb, rest);
  if (given.has("help")) return context.print(helpOf(verb));
  await verb.run(context, given);
}

function findVerb(name: string): RunnableVerb {
  const verb = verbs.find((known) => known.name === name);
  if (verb !== undefined) return verb;
  throw invalid(`unknown command '${name}'. The commands are ${verbs.map((known) => known.name).join(", ")} and help.`);
}
