import { admit } from "../core/access.ts";
import { isSecure } from "../core/agents.ts";
import { busDid } from "../core/card.ts";
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
  self: "agent",
  knowsAsker: ({ agent }) => agent !== undefined,
  run: async (bus, { channel, agent }, { caller }) => {
    const counts = channel !== undefined && agent !== undefined;
    // Anyone may ask how the bus is; how much somebody has to read is for who may read it.
    if (counts) await admit(bus, "reader", { channel, agent }, caller);
    const did = await busDid(bus);
    return {
      status: "ok",
      pending: counts ? await bus.store.messages.pending(channel, agent) : 0,
      secure_mode: await isSecure(bus),
      ...(did === undefined ? {} : { did }),
    };
  },
  show: (answer) => JSON.stringify(answer),
  note: (_, { channel, agent }) =>
    channel === undefined || agent !== undefined ? undefined : "Nothing was counted: say for which agent",
});
