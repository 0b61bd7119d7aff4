// Looks into a database, opened once, and says how long each look takes. IPC_DB_PATH says which.
import { THIS_PROCESS } from "../../../src/core/access.ts";
import { readEnvironment } from "../../../src/environment.ts";
import { openBus } from "../../../src/open.ts";
import { operations } from "../../../src/operations/index.ts";
import { parseRequest } from "../../../src/operations/operation.ts";
import { perform } from "../../../src/operations/perform.ts";
import { answerLines, taskText } from "./rounds.ts";

export interface GrowTask {
  /** How long to measure each. */
  readonly seconds: number;
}

const ASKED: Readonly<Record<string, object>> = {
  health: { channel: "quiet", agent: "reader" },
  read: { channel: "busy-1", agent: "reader", peek: true },
  channels: {},
  send: { channel: "sent", sender: "herald", content: "main is green" },
};

const MOST = 2_000;

const { seconds }: GrowTask = JSON.parse(taskText());
const environment = readEnvironment(process.env);
const bus = await openBus(environment, { port: () => 0 });
const { signal } = new AbortController();

await answerLines(async (name) => {
  const step = name === "open" ? openAndClose : stepOf(name);
  await step();
  const times: number[] = [];
  const until = performance.now() + seconds * 1_000;
  while (times.length < 3 || (times.length < MOST && performance.now() < until)) {
    const started = performance.now();
    await step();
    times.push(performance.now() - started);
  }
  return { times };
});
process.exit(0);

function stepOf(name: string): () => Promise<unknown> {
  if (name === "pending") return () => bus.store.messages.pending("quiet", "reader");
  const operation = operations.find((known) => known.name === name);
  if (operation === undefined) throw new Error(`there is no operation ${name}`);
  return () => perform(bus, parseRequest(operation, ASKED[name] ?? {}), { caller: THIS_PROCESS, signal });
}

async function openAndClose(): Promise<void> {
  await using another = await openBus(environment, { port: () => 0 });
  await another.store.messages.watermark("quiet", "reader");
}
