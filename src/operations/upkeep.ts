import { formatCount, invalidFields } from "../core/errors.ts";
import { type PruningProgress, prune, reset } from "../core/pruning.ts";
import { SECURITY_CHANNEL } from "../core/security.ts";
import { duration, flag, name, optional, whole } from "./fields.ts";
import { defineOperation } from "./operation.ts";

export const pruneMessages = defineOperation({
  name: "prune",
  summary: "Remove old messages",
  details: [
    "Say which may go: those older than a time, those behind the newest N of their channel, those that every reader of",
    "the channel has consumed. Of several, all must hold. --dry-run tells what would go, and what of it is unread.",
    `Alarms, in the channel ${SECURITY_CHANNEL}, stay unless it is named.`,
  ].join("\n"),
  examples: [
    "el-ipc prune --older-than 30d --dry-run",
    "el-ipc prune --older-than 30d --consumed",
    "el-ipc prune builds --keep 1000",
  ],
  access: { level: "keeper" },
  http: "POST /prune",
  stream: true,
  input: {
    fields: {
      channel: optional(name("The channel; all but the alarms unless given", { neverEmpty: true })),
      older_than: optional(duration("Those older than this: seconds, or a number with s, m, h, d or w")),
      keep: optional(whole("Those behind the newest N of their channel", { least: 0 })),
      consumed: flag("Those that every agent which reads the channel has consumed"),
      dry_run: flag("Remove nothing; say what would be removed"),
    },
    positionals: ["channel"],
    check: ({ older_than, keep, consumed = false }) => {
      if (older_than !== undefined || keep !== undefined || consumed) return;
      throw invalidFields(
        (nameOf) => `say which messages may go: ${nameOf("older_than")}, ${nameOf("keep")} or ${nameOf("consumed")}`,
      );
    },
  },
  run: (bus, { channel, older_than, keep, consumed = false, dry_run = false }, { signal }) => {
    const before = older_than === undefined ? undefined : bus.now() - older_than;
    return prune(bus, { channel, before, keep, consumed, dryRun: dry_run }, signal);
  },
  output: {
    isLast: ({ done }) => done,
    progress: ({ removed, of, done }: PruningProgress) => (done ? undefined : { done: removed, of }),
    text: ({ removed, of, channels, done }, { dry_run }) => {
      if (!done) return "";
      const lines = channels.map(
        ({ channel, messages, unconsumed }) =>
          `  ${channel}: ${messages}${unconsumed > 0 ? ` (${unconsumed} not read by all)` : ""}`,
      );
      const said = dry_run
        ? `Would remove ${formatCount(of, "messages")}`
        : `Removed ${formatCount(removed, "messages")}`;
      return [said, ...lines].join("\n");
    },
  },
});

export const resetBus = defineOperation({
  name: "reset",
  summary: "Remove all messages, sessions, commands and signals, after a backup of the database",
  details: [
    `Agents, watermarks and the channel ${SECURITY_CHANNEL} stay, and ids go on from where they were.`,
    "Over a network it needs, in secure mode, an operator's token.",
  ].join("\n"),
  examples: ["el-ipc reset"],
  access: { level: "keeper" },
  http: "POST /reset",
  input: { fields: {} },
  run: async (bus) => {
    const { backup, removed } = await reset(bus);
    return { ok: true, removed, backup };
  },
  output: {
    model: ({ removed, backup }) =>
      `Removed ${formatCount(removed, "messages")} and all peers, commands and signals. Backup: ${backup}`,
  },
  tool: {
    name: "reset_broker",
    description: "Clear the whole bus for everybody. Only if your user asks for that.",
    arguments: {},
  },
});
