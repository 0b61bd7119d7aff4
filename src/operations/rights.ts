import type { Access } from "../core/access.ts";
import { type Rights, rightsOf } from "../core/rights.ts";
import { operation } from "./operation.ts";

const MEANS: Readonly<Record<Access, string>> = {
  anyone: "ask how it is",
  signed: "send",
  reader: "read",
  actor: "work as a session",
  keeper: "prune and reset",
};

export const showRights = operation({
  name: "rights",
  summary: "Say for whom the bus takes you, and what you may ask of it",
  examples: ["el-ipc rights", "el-ipc rights --url http://localhost:9876"],
  access: "anyone",
  http: "GET /rights",
  input: {},
  words: [],
  knowsAsker: () => true,
  run: async (bus, _, { caller }) => ({ ok: true, ...(await rightsOf(bus, caller)) }),
  show: ({ secure_mode, agent, operator, may }: Rights) =>
    [
      `${agent ?? "nobody in particular"}${operator ? " (operator)" : ""}, in ${secure_mode ? "secure" : "open"} mode`,
      `may ${may.map((access) => MEANS[access]).join(", ")}`,
    ].join("\n"),
});
