import { isSecure } from "../core/agents.ts";
import { name, optional } from "./fields.ts";
import { operation } from "./operation.ts";

export const showHealth = operation({
  name: "health",
  summary: "Say whether the bus works, whether it is in secure mode, and how much an agent has to read",
  examples: ["el-ipc health", "el-ipc health builds herald"],
  access: "anyone",
  http: "GET /health",
  input: {
    channel: optional(name("A channel")),
    agent: optional(name("An agent, whose unread messages there are counted")),
  },
  words: ["channel", "agent"],
  run: async (bus, { channel, agent }) => ({
    status: "ok",
    pending: channel === undefined || agent === undefined ? 0 : await bus.store.messages.pending(channel, agent),
    secure_mode: await isSecure(bus),
  }),
  show: (answer) => JSON.stringify(answer),
});
