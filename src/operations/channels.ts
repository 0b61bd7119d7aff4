import { indented, operation } from "./operation.ts";

export const listChannels = operation({
  name: "channels",
  summary: "List the channels, newest first, with their message counts",
  examples: ["el-ipc channels", "el-ipc channels --json"],
  access: "reader",
  http: "GET /channels",
  input: {},
  words: [],
  run: async (bus) =>
    (await bus.store.messages.channels()).map(({ channel, count, lastMessage }) => ({
      channel,
      count,
      last_message: lastMessage,
    })),
  show: indented,
});
