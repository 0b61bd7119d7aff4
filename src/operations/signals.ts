import { agentOfSession, resolveAsker } from "../core/sessions.ts";
import { clearSignal, getSignal, getSignals, setSignal, waitForSignal } from "../core/signals.ts";
import type { Json, Signal } from "../core/store.ts";
import { json, name, optional, waitSeconds, waitTime } from "./fields.ts";
import { defineOperation } from "./operation.ts";

const signalName = name("The signal's name");

export interface PublicSignal {
  readonly name: string;
  readonly data: Json;
  readonly from: string;
  readonly ts: number;
}

export function toPublicSignal({ name, data, sender, setAt }: Signal): PublicSignal {
  return { name, data, from: sender, ts: setAt };
}

export const emitSignal = defineOperation({
  name: "signal set",
  summary: "Set a signal; it stays set until it is cleared",
  examples: ["el-ipc signal set build_ready", `el-ipc signal set build_ready '{"port":7400}' --from bac-1a2b3c`],
  access: { level: "actor" },
  http: "POST /signals/:name",
  input: {
    fields: {
      name: signalName,
      data: optional(json("Any JSON to go with it")),
      from: optional(name("The sender (human)")),
    },
    positionals: ["name", "data"],
    self: "from",
  },
  run: async (bus, { name, data = null, from }, { caller }) => {
    const sender = await resolveAsker(bus, from, caller);
    return { ok: true, signal: toPublicSignal(await setSignal(bus, { name, data, sender })) };
  },
  output: { text: ({ signal }) => `${signal.name} is set` },
  tool: {
    name: "signal",
    description: "Set a signal; it stays set for all who wait for it, now or later.",
    arguments: { name: { description: "e.g. build_ready" }, data: { description: "", type: "object" } },
    session: "from",
    isRepeatable: true,
  },
});

export const readSignal = defineOperation({
  name: "signal get",
  summary: "Print a signal, if it is set",
  examples: ["el-ipc signal get build_ready"],
  access: { level: "reader" },
  http: "GET /signals/:name",
  input: { fields: { name: signalName }, positionals: ["name"] },
  run: async (bus, { name }) => ({ ok: true, signal: toPublicSignal(await getSignal(bus, name)) }),
  output: { text: ({ signal }) => JSON.stringify(signal) },
});

export const awaitSignal = defineOperation({
  name: "signal wait",
  summary: "Wait for a signal; returns at once if it is already set",
  examples: ["el-ipc signal wait build_ready", "el-ipc signal wait build_ready --timeout 60"],
  access: { level: "reader" },
  http: "GET /signals/:name/wait",
  input: { fields: { name: signalName, timeout: waitTime }, positionals: ["name"] },
  run: async (bus, { name, timeout }, { caller, signal }) => {
    const found = await waitForSignal(bus, { name, seconds: waitSeconds(timeout, caller) }, signal);
    if (found === undefined) return null;
    const agent = await agentOfSession(bus, found.sender);
    return { ok: true, signal: toPublicSignal(found), ...(agent === undefined ? {} : { agent }) };
  },
  waits: { isWaiting: () => true },
  output: {
    text: (answer) => (answer === null ? "" : JSON.stringify(answer.signal)),
    model: (answer, _, quote) => {
      if (answer === null) return "";
      const { signal, agent } = answer;
      const from = agent === undefined ? signal.from : `${agent}, ${signal.from}`;
      const proof = agent === undefined ? undefined : "attested";
      return quote({ from, text: `${signal.name} ${JSON.stringify(signal.data)}`, proof });
    },
    failure: (answer, { name }) => (answer === null ? `The signal ${name} was not set in that time` : undefined),
  },
  tool: {
    name: "wait_for_signal",
    description: "Wait until a signal is set; answers at once if it is.",
    arguments: { name: { description: "" }, timeout: { description: "Seconds (50, at most 300)" } },
  },
});

export const listSignals = defineOperation({
  name: "signal list",
  summary: "List the signals that are set",
  examples: ["el-ipc signal list"],
  access: { level: "reader" },
  http: "GET /signals",
  input: { fields: {} },
  run: async (bus) => ({ ok: true, signals: (await getSignals(bus)).map(toPublicSignal) }),
  output: { text: ({ signals }) => signals.map((signal) => JSON.stringify(signal)).join("\n") },
});

export const unsetSignal = defineOperation({
  name: "signal clear",
  summary: "Clear a signal",
  examples: ["el-ipc signal clear build_ready"],
  access: { level: "actor" },
  http: "DELETE /signals/:name",
  input: { fields: { name: signalName }, positionals: ["name"] },
  run: async (bus, { name }) => {
    await clearSignal(bus, name);
    return { ok: true };
  },
  output: { text: (_, { name }) => `${name} is cleared` },
});

export const signalOperations = [emitSignal, awaitSignal, readSignal, listSignals, unsetSignal] as const;
