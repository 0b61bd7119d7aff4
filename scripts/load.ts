// Measures what a bus on NATS costs its server: `npm run load`, or `npm run load -- --messages 100000 --channels 1000`.
// It starts a nats-server of its own on this machine, in a folder that goes with it, and says what each thing took.
import { parseArgs } from "node:util";
import { openNats } from "../src/nats.ts";
import { startNats } from "../test/support/nats-server.ts";

const MOST = 1_000_000;
const IN_FLIGHT = 64;

const { values } = parseArgs({
  options: {
    messages: { type: "string", default: "20000" },
    channels: { type: "string", default: "1000" },
    readers: { type: "string", default: "2000" },
    waiters: { type: "string", default: "1000" },
    bytes: { type: "string", default: "200" },
  },
});
const [messages, channels, readers, waiters, bytes] = [
  ...[values.messages, values.channels, values.readers, values.waiters, values.bytes].map(countOf),
] as [number, number, number, number, number];

await using server = await startNats();
const address = server.freshBus();
const { store, wakeup } = await openNats(address, { replicas: 1, backups: "" });
const content = "x".repeat(bytes);
const started = await use();
say("the server alone", started, started, 0);

const channelOf = (n: number) => `channel-${n % channels}`;
const send = (n: number) =>
  store.messages.append({
    channel: channelOf(n),
    sender: "load",
    content,
    timestamp: Date.now() / 1_000,
    signature: "",
  });
await work(`${messages} messages of ${bytes} bytes in ${channels} channels`, messages, send);
await work(`${readers} watermarks, each of a reader of its own`, readers, (n) =>
  store.messages.advance(channelOf(n), `reader-${n}`, messages),
);
await work(`${readers} reads of what is unread (nothing)`, readers, (n) =>
  store.messages.unread(channelOf(n), `reader-${n}`, { limit: 10, others: false }),
);
await work("10 lists of all channels", 10, () => store.messages.channels());
const bells = Array.from({ length: waiters }, (_, n) => wakeup.arm(`waited-${n}`));
await work(`${waiters} bells that somebody waits for`, 1, () => store.messages.lastId());
for (const bell of bells) bell[Symbol.dispose]();
await wakeup[Symbol.asyncDispose]();
await store[Symbol.asyncDispose]();

/** Does it so often, some at once, and says what it took and what the server then holds. */
async function work(what: string, count: number, step: (n: number) => Promise<unknown>): Promise<void> {
  const before = await use();
  const begun = performance.now();
  let next = 0;
  const worker = async () => {
    for (let n = next++; n < count; n = next++) await step(n);
  };
  await Promise.all(Array.from({ length: Math.min(IN_FLIGHT, count) }, worker));
  say(what, before, await use(), count / ((performance.now() - begun) / 1_000));
}

interface Use {
  readonly memory: number;
  readonly disk: number;
}

async function use(): Promise<Use> {
  const ask = async (what: string) => Object(await (await fetch(`${server.monitor}/${what}`)).json());
  const [{ mem }, { storage }] = await Promise.all([ask("varz"), ask("jsz")]);
  return { memory: mem, disk: storage };
}

function say(what: string, before: Use, after: Use, perSecond: number): void {
  const mib = (size: number) => `${(size / 1024 / 1024).toFixed(1)} MiB`;
  const rate = perSecond === 0 ? "" : `${Math.round(perSecond)}/s, `;
  console.log(
    `${what}: ${rate}memory ${mib(before.memory)} to ${mib(after.memory)}, disk ${mib(before.disk)} to ${mib(after.disk)}`,
  );
}

function countOf(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= MOST) return count;
  throw new Error(`a number from 1 to ${MOST} is needed, not ${text}`);
}
