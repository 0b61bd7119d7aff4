import { THIS_PROCESS } from "../../../src/core/access.ts";
import { send } from "../../../src/core/messages.ts";
import { readEnvironment } from "../../../src/environment.ts";
import { openBus } from "../../../src/open.ts";
import type { Bench } from "../bench.ts";
import { figureAt } from "../figures.ts";
import { temporaryFolder } from "../folder.ts";
import type { Line } from "../lines.ts";
import { pause, ready, start } from "../processes.ts";
import { command, on, serve } from "../program.ts";
import { requestsTo } from "../requests.ts";

const MESSAGES = { quick: 20, usual: 300, long: 1_000 } as const;
const DROPPED = 10;

/** Before each message, so that whoever waits is asleep again. */
const SETTLE_MS = 4;

/** The sender and the receiver, each a process of its own on one database. */
interface Pair {
  readonly name: string;
  send(text: string): Promise<unknown>;
  /** Begins to wait; done once the message is here. */
  receive(): Promise<string>;
}

export const pairs: Bench = {
  name: "pairs",
  about: "the same between the ways to send and to wait: the command line, and HTTP",
  run: async ({ extent }) => {
    await using stack = new AsyncDisposableStack();
    const variables = on(stack.use(temporaryFolder()));
    const { port } = stack.use(await serve(variables));
    const bus = stack.use(await openBus(readEnvironment(variables), { port: () => 0 }));
    const [poster, poller] = [stack.use(requestsTo(port)), stack.use(requestsTo(port))];
    const follower = stack.use(start(command("follow", "pairs", "reader"), variables));

    const fromHere = (content: string) =>
      send(bus, { channel: "pairs", sender: "herald", content, signature: undefined }, THIS_PROCESS);
    const byHttp = (content: string) => poster.post("/send", { channel: "pairs", sender: "herald", content });
    const printed = () => follower.line();
    const polled = () => poller.get("/messages?channel=pairs&agent=poller&wait=true");
    await fromHere("first");
    await ready(follower);
    await polled();

    const ways: readonly Pair[] = [
      { name: "a process with the bus open to `follow`", send: fromHere, receive: printed },
      { name: "a process with the bus open to a long-poll", send: fromHere, receive: polled },
      { name: "HTTP to `follow`", send: byHttp, receive: printed },
      { name: "HTTP to a long-poll", send: byHttp, receive: polled },
    ];
    const samples = new Map(ways.map((way): [Pair, number[]] => [way, []]));
    for (let round = 0; round < MESSAGES[extent] + DROPPED; round++) {
      for (const way of round % 2 === 0 ? ways : ways.toReversed()) {
        const took = await deliver(way, `message ${round}`);
        if (round >= DROPPED) samples.get(way)?.push(took);
        // The others' messages are not what is waited for the next time.
        await (way.receive === printed ? polled() : printed());
      }
    }
    return ways.map((way): Line => {
      const all = samples.get(way) ?? [];
      return { work: `from ${way.name}, FULL, p50`, ours: figureAt("ms", all, 50) };
    });
  },
};

async function deliver({ name, send, receive }: Pair, text: string): Promise<number> {
  const received = receive();
  await pause(SETTLE_MS + Math.random() * SETTLE_MS);
  const started = performance.now();
  const [{ said, at }] = await Promise.all([received.then((said) => ({ said, at: performance.now() })), send(text)]);
  if (!said.includes(text)) throw new Error(`${name}: ${said} came instead of ${text}`);
  return at - started;
}
