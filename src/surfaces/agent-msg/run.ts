import { invalid } from "../../core/errors.ts";
import { type Given, helpOf, overview, parseArguments, type Verb } from "./arguments.ts";
import type { Desk } from "./desk.ts";
import { poll, showInbox } from "./inbox.ts";
import { list, register, send } from "./verbs.ts";

interface Runnable extends Verb {
  run(desk: Desk, given: Given): Promise<void>;
}

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
    },
    async run(desk, { words: [to = "", message = ""], text }) {
      const id = await send(desk, text("from") ?? desk.self, to, message);
      desk.print(`✓ Message sent to ${to} (${id})`);
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
];

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
