import { indented, operation } from "./operation.ts";
import { publicChannels } from "./status.ts";

export const listChannels = operation({
  name: "channels",
  summary: "List the channels, newest first, with their message counts",
  examples: ["el-ipc channels", "el-ipc channels --json"],
  access: "reader",
  http: "GET /channels",
  input: {},
  words: [],
  run: async (bus, _, { caller }) => publicChannels(await bus.store.messages.channels(), caller.identity),
  show: (channels) => indented(channels),
  tell: (channels, _, quote) => {
    if (channels.length === 0) return "No channels";
    return quote({ from: "channels", text: channels.map(({ channel, count }) => `${channel}: ${count}`).join("\n") });
  },
  tool: { name: "list_channels", about: "The channels and their message counts, newest first.", arguments: {} },
});
