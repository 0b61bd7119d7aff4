import { admit } from "../core/access.ts";
import { type Receipts, receipts, receiptsOnceRead } from "../core/receipts.ts";
import { name, optional, seconds, whole } from "./fields.ts";
import { operation } from "./operation.ts";
import { waitSeconds } from "./waits.ts";

export const showReceipts = operation({
  name: "receipts",
  summary: "Say which agents have read a message",
  details: "Derived from the watermarks: who has consumed the channel up to the message has read it.",
  examples: ["el-ipc receipts 42", "el-ipc receipts 42 --wait-for reader --timeout 60"],
  access: "reader",
  http: "GET /receipts",
  input: {
    id: whole("The message", { least: 1 }),
    wait_for: optional(name("Wait until this agent has read it")),
    timeout: optional(seconds("Wait this many seconds at most (by HTTP itself 30, and 300 at most)")),
  },
  words: ["id"],
  run: async (bus, { id, wait_for, timeout }, { caller, signal }) => {
    const now = await receipts(bus, id);
    // Who may not read a mailbox learns nothing of it by a number either.
    await admit(bus, "reader", { channel: now.channel }, caller);
    if (wait_for === undefined) return now;
    return receiptsOnceRead(bus, { id, agent: wait_for, seconds: waitSeconds(timeout, caller) }, signal);
  },
  show: (answer: Receipts) => JSON.stringify(answer),
  waits: ({ wait_for }) => wait_for !== undefined,
  nothing: ({ read_by }, { wait_for }) => wait_for !== undefined && !read_by.includes(wait_for),
  failure: ({ id, read_by }, { wait_for }) =>
    wait_for === undefined || read_by.includes(wait_for) ? undefined : `${wait_for} has not read message ${id} yet`,
});
