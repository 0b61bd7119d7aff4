import { trafficOf } from "../core/traffic.ts";
import { optional, whole } from "./fields.ts";
import { operation } from "./operation.ts";

export const showTraffic = operation({
  name: "traffic",
  summary: "Say how many messages were sent in each of the last minutes, and by whom to which channel",
  examples: ["el-ipc traffic", "el-ipc traffic --minutes 10"],
  access: "reader",
  http: "GET /traffic",
  input: { minutes: optional(whole("How far back (60)", { least: 1, most: 1_440 })) },
  words: [],
  run: async (bus, { minutes = 60 }, { caller }) => ({ ok: true, ...(await trafficOf(bus, minutes, caller.identity)) }),
  show: ({ minutes, flows }) =>
    [
      ...minutes.map(({ ts, count }) => `${new Date(ts * 1_000).toISOString().slice(0, 16)}Z  ${count}`),
      ...flows.map(({ from, channel, count }) => `${from} -> ${channel}  ${count}`),
    ].join("\n"),
});
