import { getCommands, issueCommands, offerCommandAgain, releaseCommand, waitForCommand } from "../core/commands.ts";
import { endCommand, waitForCommandEnd } from "../core/outcomes.ts";
import { agentOfSession, resolveAsker } from "../core/sessions.ts";
import type { Command, CommandStatus, Json, NewCommand } from "../core/store.ts";
import { flag, json, name, oneOf, optional, seconds, text, waitSeconds, waitTime, whole, word } from "./fields.ts";
import { defineOperation, parseRequest, type Quote } from "./operation.ts";

export interface PublicCommand {
  readonly id: string;
  /** A `command_response` reports a command's end to its sender. */
  readonly kind: "command" | "command_response";
  readonly from: string;
  /** The sender's session; null for a person or program without one. */
  readonly fromId: string | null;
  /** A session's id, or the role whose first free session takes it. */
  readonly target: string;
  readonly targetRole: string;
  readonly action: string;
  readonly params: Json;
  readonly ts: number;
  readonly status: CommandStatus;
  /** How many times it was handed out. */
  readonly attempts: number;
  readonly holder: string | null;
  readonly leaseUntil: number | null;
  readonly result: Json;
  /** When it ended, acknowledged or not. */
  readonly ackedAt: number | null;
}

export function toPublicCommand(command: NewCommand | Command): PublicCommand {
  const { id, kind, from, fromId, target, targetRole, action, params, createdAt } = command;
  const state = "status" in command ? command : undefined;
  return {
    id,
    kind,
    from,
    fromId,
    target: target ?? targetRole,
    targetRole,
    action,
    params,
    ts: createdAt,
    status: state?.status ?? "pending",
    attempts: state?.attempts ?? 0,
    holder: state?.holder ?? null,
    leaseUntil: state?.leaseUntil ?? null,
    result: state?.result ?? null,
    ackedAt: state?.endedAt ?? null,
  };
}

function answerWith(command: Command) {
  return { ok: true, command: toPublicCommand(command) };
}

/** A command for a model: only its sender's words are quoted. */
export function describeCommand({ command, agent }: { command: PublicCommand; agent?: string }, quote: Quote): string {
  const { id, kind, from, fromId, action, params, attempts } = command;
  const sender = [agent, from, fromId].filter((name) => name !== undefined && name !== null).join(", ");
  const response = kind === "command_response";
  const words = quote({
    from: sender,
    text: `${response ? "" : `${action} `}${JSON.stringify(params)}`,
    proof: agent === undefined ? undefined : "attested",
  });
  return `${response ? "How a command of yours ended" : id}${attempts > 1 ? ` (attempt ${attempts})` : ""}: ${words}`;
}

export function formatCommand({ id, from, target, action, status, attempts }: PublicCommand): string {
  const again = attempts > 1 ? `, ${attempts} attempts` : "";
  return `${id}  ${status}${again}  ${from} -> ${target}  ${action}`;
}

const LEASE_SECONDS = 60;

const commandFields = {
  target: name("The recipient: a session's id, a role, or * for everybody"),
  action: word("The action, in one word"),
  params: optional(json("Its parameters, as JSON")),
  from: optional(name("The sender: a session's id, or a name (human)")),
  lease: optional(seconds("Offer it again when its session is silent for this many seconds (60)", 1)),
  any: flag("For a role: one command for its first free session, instead of one for each"),
  expires: optional(seconds("Expire it after this many seconds, if nobody has taken it")),
} as const;

export const sendCommand = defineOperation({
  name: "command send",
  summary: "Send a command to a session, a role, or everybody",
  examples: [
    `el-ipc command send backend start_server '{"port":7400}'`,
    "el-ipc command send bac-1a2b3c stop --from orc-9f8e7d",
    "el-ipc command send tester run_tests --any --lease 300",
  ],
  access: { level: "actor" },
  http: "POST /commands/send",
  input: { fields: commandFields, positionals: ["target", "action", "params"], self: "from" },
  run: async (bus, { target, action, params = {}, from, lease = LEASE_SECONDS, any = false, expires }, { caller }) => {
    const asker = await resolveAsker(bus, from, caller);
    const asked = { from: asker, target, action, params, leaseSeconds: lease, any, expiresIn: expires };
    const commands = (await issueCommands(bus, asked, caller)).map(toPublicCommand);
    return { ok: true, command: commands[0], commands };
  },
  output: { text: ({ commands }) => commands.map(({ id, target }) => `${id} sent to ${target}`).join("\n") },
  tool: {
    name: "send_command",
    description: "Ask a peer to do something. How it ended comes to you by wait_for_command.",
    arguments: {
      target: { description: "A peer_id, a role (all in it), or *" },
      action: { description: "e.g. start_server" },
      params: { description: "", type: "object" },
      any: { description: "For a role: only its first free peer" },
    },
    session: "from",
  },
});

export const commandResult = defineOperation({
  name: "command result",
  summary: "Wait for a command to end, and print its result",
  examples: ["el-ipc command result cmd-1a2b3c4d5e6f --timeout 60"],
  access: { level: "reader" },
  http: "GET /commands/:id/result",
  input: { fields: { id: name("The command"), timeout: waitTime }, positionals: ["id"] },
  run: async (bus, { id, timeout }, { caller, signal }) =>
    answerWith(await waitForCommandEnd(bus, { id, seconds: waitSeconds(timeout, caller) }, signal)),
  waits: { isWaiting: () => true, isTimeout: ({ command }) => command.ackedAt === null },
  output: {
    text: ({ command }) => (command.status === "acked" ? JSON.stringify(command.result) : ""),
    failure: ({ command }) => (command.status === "acked" ? undefined : describeUnfinished(command)),
  },
});

function describeUnfinished({ id, status, result }: PublicCommand): string {
  if (status === "pending" || status === "leased") {
    return `The time is up, and the command ${id} is ${status}: it stands. \`el-ipc command result ${id}\` waits on`;
  }
  if (status !== "failed") return `The command ${id} is ${status}`;
  const why = typeof result === "object" && result !== null && "error" in result ? result.error : result;
  const words = typeof why === "string" ? why : JSON.stringify(why);
  return words === "" ? `The command ${id} failed` : `The command ${id} failed: ${words}`;
}

export const ask = defineOperation({
  name: "ask",
  summary: "Send a command and wait for its result",
  details:
    "All sessions of a role get the command, unless --any is given. Each result is printed on a line of its own.",
  examples: [`el-ipc ask backend start_server '{"port":7400}' --timeout 120`],
  access: { level: "actor" },
  http: "POST /commands/ask",
  input: {
    fields: {
      ...commandFields,
      timeout: { ...optional(seconds("Wait at most this many seconds for the result")), callerOnly: true },
    },
    positionals: ["target", "action", "params"],
    self: "from",
  },
  run: async (bus, input, context) => sendCommand.run(bus, input, context),
  after: {
    next: ({ commands }, { timeout }) =>
      commands.map(({ id }: PublicCommand) => ({
        request: parseRequest(commandResult, { id, timeout }),
        isShown: true,
      })),
  },
  output: { text: () => "" },
});

const STATUSES = ["pending", "leased", "acked", "failed", "dead", "expired"] as const;

export const listCommands = defineOperation({
  name: "command list",
  summary: "List the commands, newest last",
  examples: ["el-ipc command list", "el-ipc command list --status dead"],
  access: { level: "reader" },
  http: "GET /commands",
  input: {
    fields: {
      peer: optional(name("Only those of this session")),
      status: optional(oneOf("Only those with this status", STATUSES)),
      limit: optional(whole("At most this many (200)", { min: 1, max: 1_000 })),
    },
    positionals: ["peer"],
  },
  run: async (bus, { peer, status, limit = 200 }) => ({
    ok: true,
    commands: (await getCommands(bus, { peer, status, limit })).map(toPublicCommand),
  }),
  output: { text: ({ commands }) => commands.map(formatCommand).join("\n") },
});

export const pendingCommands = defineOperation({
  name: "command pending",
  summary: "List a session's pending commands without taking any",
  examples: ["el-ipc command pending bac-1a2b3c"],
  access: { level: "reader" },
  http: "GET /commands/:peer",
  input: { fields: { peer: name("The session's id") }, positionals: ["peer"] },
  run: async (bus, { peer }) => {
    const pending = await getCommands(bus, { peer, status: "pending", limit: 1_000 });
    return { ok: true, commands: pending.map(toPublicCommand) };
  },
  output: { text: ({ commands }) => commands.map(formatCommand).join("\n") },
});

export const waitCommand = defineOperation({
  name: "command wait",
  summary: "Wait for a command and take it",
  details: [
    "The session holds the command for its lease. End it with `command ack` or `command fail`, or extend the lease with",
    "`heartbeat`. Otherwise it is offered again.",
  ].join("\n"),
  examples: ["el-ipc command wait bac-1a2b3c", "el-ipc command wait bac-1a2b3c --timeout 60"],
  access: { level: "actor" },
  http: "GET /commands/:peer/wait",
  input: { fields: { peer: name("The session's id, from connect"), timeout: waitTime }, positionals: ["peer"] },
  run: async (bus, { peer, timeout }, { caller, signal }) => {
    const taken = await waitForCommand(bus, { sessionId: peer, seconds: waitSeconds(timeout, caller) }, caller, signal);
    if (taken === undefined) return null;
    const agent = await agentOfSession(bus, taken.fromId);
    return { ok: true, command: toPublicCommand(taken), ...(agent === undefined ? {} : { agent }) };
  },
  waits: { isWaiting: () => true },
  after: {
    // A response is done as soon as it has arrived.
    confirm: (answer) =>
      answer?.command.kind === "command_response" ? parseRequest(ackCommand, { id: answer.command.id }) : undefined,
    lost: async (bus, answer, { peer }) => {
      if (answer !== null) await releaseCommand(bus, answer.command.id, peer);
    },
  },
  output: {
    text: (answer) => (answer === null ? "" : JSON.stringify(answer.command)),
    model: (answer, _, quote) => (answer === null ? "" : describeCommand(answer, quote)),
    failure: (answer) => (answer === null ? "No command came in that time" : undefined),
  },
  tool: {
    name: "wait_for_command",
    description:
      "Wait for a command and take it. End each with ack_command or fail_command, or it comes again. Then wait for the next. If you have a shell, wait cheaper: `el-ipc command wait PEER_ID` in the background.",
    arguments: { timeout: { description: "Seconds (50, at most 300)" } },
    session: "peer",
  },
});

export const ackCommand = defineOperation({
  name: "command ack",
  summary: "Report that a command is done, with its result",
  details:
    "Its sender gets a command_response, the signal <action>_done is set, and a message goes to the channel activity.",
  examples: [`el-ipc command ack cmd-1a2b3c4d5e6f '{"pid":4711}'`],
  access: { level: "actor" },
  http: "POST /commands/:id/ack",
  input: {
    fields: { id: name("The command"), result: optional(json("Its result, as JSON")) },
    positionals: ["id", "result"],
  },
  run: async (bus, { id, result = null }, { caller }) =>
    answerWith(await endCommand(bus, id, { status: "acked", result }, caller)),
  output: { text: ({ command }) => `${command.id} is acknowledged` },
  tool: {
    name: "ack_command",
    description: "Say that a command is done. Its sender gets the result.",
    arguments: { id: { description: "cmd-…" }, result: { description: "", type: "object" } },
    isRepeatable: true,
  },
});

export const failCommand = defineOperation({
  name: "command fail",
  summary: "Report that a command failed, and why",
  details:
    "Its sender gets a command_response, the signal <action>_failed is set, and a message goes to the channel activity.",
  examples: ['el-ipc command fail cmd-1a2b3c4d5e6f "port 7400 is taken"'],
  access: { level: "actor" },
  http: "POST /commands/:id/fail",
  input: {
    fields: { id: name("The command"), error: optional(text("Why", { given: "text" })) },
    positionals: ["id", "error"],
  },
  run: async (bus, { id, error = "" }, { caller }) =>
    answerWith(await endCommand(bus, id, { status: "failed", result: { error } }, caller)),
  output: { text: ({ command }) => `${command.id} has failed` },
  tool: {
    name: "fail_command",
    description: "Say that a command failed or that you won't do it.",
    arguments: { id: { description: "cmd-…" }, error: { description: "Why" } },
    isRepeatable: true,
  },
});

export const retryCommand = defineOperation({
  name: "command retry",
  summary: "Offer a failed, expired or dead command again",
  examples: ["el-ipc command retry cmd-1a2b3c4d5e6f"],
  access: { level: "actor" },
  http: "POST /commands/:id/retry",
  input: { fields: { id: name("The command") }, positionals: ["id"] },
  run: async (bus, { id }, { caller }) => answerWith(await offerCommandAgain(bus, id, caller)),
  output: { text: ({ command }) => `${command.id} is offered again` },
});

export const commandOperations = [
  sendCommand,
  ask,
  waitCommand,
  ackCommand,
  failCommand,
  commandResult,
  listCommands,
  pendingCommands,
  retryCommand,
] as const;
