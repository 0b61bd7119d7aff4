import { counted } from "../core/counted.ts";
import { reset } from "../core/reset.ts";
import { SECURITY_CHANNEL } from "../core/security.ts";
import { operation } from "./operation.ts";

export const resetBus = operation({
  name: "reset",
  summary: "Remove all messages, sessions, commands and signals, after a backup of the database",
  details: [
    `Agents, watermarks and the channel ${SECURITY_CHANNEL} stay, and ids go on from where they were.`,
    "Over a network it needs, in secure mode, an operator's token.",
  ].join("\n"),
  examples: ["el-ipc reset"],
  access: "keeper",
  http: "POST /reset",
  input: {},
  words: [],
  run: async (bus) => {
    const { backup, removed } = await reset(bus);
    return { ok: true, removed, backup };
  },
  show: (answer) => JSON.stringify(answer),
  tell: ({ removed, backup }) =>
    `Removed ${counted(removed, "messages")} and all peers, commands and signals. Backup: ${backup}`,
  tool: {
    name: "reset_broker",
    about: "Clear the whole bus for everybody. Only if your user asks for that.",
    arguments: {},
  },
});
