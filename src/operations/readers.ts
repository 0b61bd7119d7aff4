import { type Reading, readersOf } from "../core/readers.ts";
import { name } from "./fields.ts";
import { operation } from "./operation.ts";

/** How far an agent has read, as the world sees it. */
export function publicReading({ agent, lastId, unread }: Omit<Reading, "channel">) {
  return { agent, last_id: lastId, unread };
}

export const channelReaders = operation({
  name: "channel readers",
  summary: "List the agents that read a channel, how far each has read, and how much it hasn't",
  details: "Counts no more than 1000 unread messages.",
  examples: ["el-ipc channel readers builds"],
  access: "reader",
  http: "GET /channels/:channel/readers",
  input: { channel: name("The channel") },
  words: ["channel"],
  run: async (bus, { channel }) => ({ ok: true, readers: (await readersOf(bus, channel)).map(publicReading) }),
  show: ({ readers }) =>
    readers.map(({ agent, last_id, unread }) => `${agent}  read up to ${last_id}  ${unread} unread`).join("\n"),
});
