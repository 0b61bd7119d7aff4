import { formatCount, invalidFields } from "../core/errors.ts";
import { type PruningProgress, prune, reset } from "../core/pruning.ts";
import { SECURITY_CHANNEL } from "../core/security.ts";
import { duration, flag, name, optional, whole } from "./fields.ts";
import { defineOperation } from "./operation.ts";

export const pruneMessages = defineOperation({
  name: "prune",
  summary: "Remove old messages",
  details: [
    "Choose which to remove: those older than a time, those beyond the newest N of their channel, those that every reader of",
    "the channel has consumed. Of several conditions, all must hold. --dry-run prints what would go, and how much is unread.",
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
      channel: optional(name("The channel (all but the alarms)", { neverEmpty: true })),
      older_than: optional(duration("Messages older than this: seconds, or a number with s, m, h, d or w")),
      keep: optional(whole("Messages beyond the newest N of their channel", { min: 0 })),
      consumed: flag("Messages that every reader of the channel has consumed"),
      dry_run: flag("Remove nothing; print what would be removed"),
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
      const total = dry_run
        ? `Would remove ${formatCount(of, "messages")}`
        : `Removed ${formatCount(removed, "messages")}`;
      return [total, ...lines].join("\n");
    },
  },
});

export const resetBus = defineOperation({
  name: "reset",
  summary: "Remove all messages, sessions, commands and signals, after a backup of the database",
  details: [
    `Agents, watermarks and the channel ${SECURITY_CHANNEL} stay, and ids continue from where they were.`,
    "Over a network, in secure mode, it needs an operator's token.",
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

export const upkeepOperations = [pruneMessages, resetBus] as const;
