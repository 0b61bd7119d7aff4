import { conflict, invalid, notFound } from "../../core/errors.ts";
import { type Given, helpOf, type Option, overview, parseArguments, type Verb } from "./arguments.ts";
import { connect } from "./connect.ts";
import type { Desk } from "./context.ts";
import { type Dial, isPassing, presenceOf, sendOnce } from "./conversation.ts";
import { unique } from "./folder.ts";
import { poll, showInbox } from "./inbox.ts";

export async function register({ folder, print }: Desk, name: string, type: string): Promise<void> {
  folder.register(name, type);
  print(`✓ Registered agent: ${name} (${type})`);
}

export async function list({ folder, openPost, self, print }: Desk): Promise<void> {
  const inFolder = folder.agents();
  const post = await openPost(self, "if there is one");
  const onBus = ((await post?.agents()) ?? []).filter(({ name }) => !inFolder.some((agent) => agent.name === name));
  if (inFolder.length === 0) print('No agents registered. Run "agent-msg register <name>" first.');
  else print("Registered agents:");
  for (const { name, type, registered } of inFolder) print(`  ${name} (${type}) - registered ${registered}`);
  if (onBus.length > 0) print("On the bus:");
  for (const { name, what } of onBus) print(`  ${name} (${what})`);
}

/** By file to who is registered in the folder, by the bus to who is known there, and never by both. */
export async function send(desk: Desk, from: string, to: string, message: string): Promise<string> {
  const { folder, openPost } = desk;
  if (folder.has(to)) {
    const id = unique();
    folder.put({ id, from, to, message, timestamp: new Date().toISOString(), status: "sent" });
    return id;
  }
  const post = await openPost(from, "if there is one");
  if (post !== undefined && (await post.knows(to))) return await post.send(from, to, message);
  throw notFound(`Agent "${to}" not found. Run "agent-msg list" to see registered agents.`);
}

interface Runnable extends Verb {
  run(desk: Desk, given: Given): Promise<void>;
}

const PORT = "18790";

const SERVER: Readonly<Record<string, Option>> = {
  url: { short: "u", value: "url", about: "WebSocket server URL", byDefault: `ws://127.0.0.1:${PORT}` },
  header: {
    value: "name: text",
    about: "A header for the server, or for a proxy before it; more than one may be given",
  },
};

const AGENT = { "[agent]": "Agent name to check (default: hostname)" };

const verbs: readonly Runnable[] = [
  {
    name: "register",
    summary: "Register this agent",
    words: { "[name]": "Agent name (default: hostname)" },
    options: {
      type: {
        short: "t",
        value: "type",
        about: "Agent type (claude-code, open-code, codex, openclaw, other)",
        byDefault: "other",
      },
    },
    run: (desk, { words: [name = desk.self], text }) => register(desk, name, text("type") ?? "other"),
  },
  { name: "list", summary: "List registered agents", words: {}, options: {}, run: list },
  {
    name: "send",
    summary: "Send a message to an agent",
    words: { to: "Recipient agent name", message: "Message to send" },
    options: {
      file: { short: "f", about: "Use file-based messaging (default)" },
      websocket: { short: "w", about: "Use WebSocket messaging" },
      from: { short: "s", value: "name", about: "Sender agent name (default: hostname)" },
      wait: { about: "Wait for delivery confirmation (WebSocket only)" },
      timeout: { value: "seconds", about: "Wait for it so long at most", byDefault: "30" },
      ...SERVER,
    },
    async run(desk, given) {
      const [to = "", ...words] = given.words;
      const message = words.join(" ");
      const from = given.text("from") ?? desk.self;
      if (!given.has("websocket"))
        return desk.print(`✓ Message sent to ${to} (${await send(desk, from, to, message)})`);
      desk.print(`Sending to ${to} via WebSocket...`);
      const patience = { wait: given.has("wait"), milliseconds: seconds(given.text("timeout")) * 1_000 };
      desk.print(await sendOnce(dialing(desk, from, given), { from, to, message, ...patience, sign: desk.sign }));
    },
  },
  {
    name: "inbox",
    summary: "Check for new messages",
    words: AGENT,
    options: { all: { short: "a", about: "Show all messages instead of just new ones" } },
    run: (desk, { words: [agent = desk.self], has }) => showInbox(desk, agent, has("all")),
  },
  {
    name: "poll",
    summary: "Continuously poll for new messages",
    words: AGENT,
    options: { interval: { short: "i", value: "ms", about: "Polling interval in ms", byDefault: "2000" } },
    run: (desk, { words: [agent = desk.self], text }) => poll(desk, agent, milliseconds(text("interval"))),
  },
  {
    name: "server",
    summary: "Start WebSocket server for real-time messaging",
    words: {},
    options: {
      port: { short: "p", value: "port", about: "Port to listen on", byDefault: PORT },
      host: { value: "address", about: "Address to listen on", byDefault: "127.0.0.1" },
      insecure: { about: "Let in whoever reaches the server, from anywhere, without a key" },
    },
    outlives: true,
    run: (desk, { text, has }) =>
      desk.serve({ port: portIn(text("port")), host: text("host") ?? "", insecure: has("insecure") }),
  },
  {
    name: "connect",
    summary: "Connect to WebSocket server for real-time messaging",
    words: {},
    options: { agent: { short: "a", value: "name", about: "Agent name (default: hostname)" }, ...SERVER },
    async run(desk, given) {
      const agent = given.text("agent") ?? desk.self;
      using chat = desk.openChat();
      const { sign, signal } = desk;
      await connect({ agent, url: given.text("url") ?? "", dial: dialing(desk, agent, given), sign, chat, signal });
    },
  },
  {
    name: "ping",
    summary: "Check if agent is online",
    words: { agent: "Agent name to ping" },
    options: SERVER,
    async run(desk, given) {
      const [agent = ""] = given.words;
      desk.print(`Pinging ${agent} at ${given.text("url")}...`);
      const { online, ms } = await presenceOf(dialing(desk, desk.self, given), agent).catch((error: unknown) => {
        throw isPassing(error) ? conflict(`✗ Agent ${agent} is offline or server not running`) : error;
      });
      if (!online) throw conflict(`✗ Agent ${agent} is offline`);
      desk.print(`✓ Agent ${agent} is online (responded in ${ms}ms)`);
    },
  },
];

function dialing(desk: Desk, agent: string, { text, all }: Given): Dial {
  return desk.dialing(agent, text("url") ?? "", Object.fromEntries(all("header").map(headerIn)));
}

function headerIn(line: string): readonly [string, string] {
  const [, name, text] = /^([\w!#$%&'*+.^`|~-]+):[ \t]*([^\r\n\0]*)$/.exec(line) ?? [];
  if (name !== undefined && text !== undefined) return [name, text];
  throw invalid(`--header takes "name: text", not ${JSON.stringify(line)}`);
}

function portIn(text: string | undefined): number {
  const port = Number(text);
  if (/^\d+$/.test(text ?? "") && port <= 65_535) return port;
  throw invalid(`the port must be a number from 0 to 65535, not '${text}'`);
}

function seconds(text: string | undefined): number {
  const value = Number(text);
  if (value > 0 && value <= 86_400) return value;
  throw invalid(`the timeout must be a number of seconds, not '${text}'`);
}

function milliseconds(text: string | undefined): number {
  const value = Number.parseInt(text ?? "", 10);
  if (value >= 1 && value < 2 ** 31) return value;
  throw invalid(`the interval must be a number of milliseconds, 1 or more, not '${text}'`);
}

/** Does what was typed. */
export async function run(desk: Desk, version: string, typed: readonly string[]): Promise<void> {
  const [first, ...rest] = typed;
  if (first === "--version" || first === "-V") return desk.print(version);
  if (first === undefined || first === "--help" || first === "-h" || first === "help") {
    const [named] = rest;
    return desk.print(named === undefined ? overview(verbs) : helpOf(found(named)));
  }
  const verb = found(first);
  const given = parseArguments(verb, rest);
  if (given.has("help")) return desk.print(helpOf(verb));
  await verb.run(desk, given);
}

function found(name: string): Runnable {
  const verb = verbs.find((known) => known.name === name);
  if (verb !== undefined) return verb;
  throw invalid(`unknown command '${name}'. The commands are ${verbs.map((known) => known.name).join(", ")} and help.`);
}
