import { answerOf } from "../answers.ts";
import type { Bench, Setting } from "../bench.ts";
import { type Figure, figure, type Unit } from "../figures.ts";
import { atMost, type Line } from "../lines.ts";
import { hasProc, openFiles, quiet, residentKib } from "../proc.ts";
import { pause, ready, start, workerCommand } from "../processes.ts";
import type { WaitersTask } from "../workers/waiters.ts";
import { bareFanServer, type FanContender, type FanServer, otherFanServers, ourFanServer } from "./fan-servers.ts";

const ROUNDS = { quick: 1, usual: 3, long: 7 } as const;
const MANY = 10_000;
const FEW = 500;

/** Files that a process has open besides. */
const SPARE_FILES = 200;

const TEXT = "main-is-green";

interface Fanned {
  /** Milliseconds from before the message was sent until the last waiter had it. */
  readonly last: number;
  /** KiB of the server's memory for each waiter. */
  readonly kib: number;
  /** How long the server took at worst to say how it is meanwhile, in milliseconds. */
  readonly health: number;
}

export const fanOut: Bench = {
  name: "fan-out",
  about: "one message to ten thousand long-polls, and how the server is meanwhile",
  run: (setting) => fan(setting, "long-poll", "long-polls"),
};

export const fanOutStreams: Bench = {
  name: "fan-out-sse",
  about: "one message to ten thousand streams of server-sent events",
  run: (setting) => fan(setting, "sse", "SSE streams"),
};

async function fan(setting: Setting, kind: "long-poll" | "sse", name: string): Promise<Line[]> {
  const count = waiterCount(setting);
  const contenders = [
    ourFanServer(kind),
    ...(kind === "long-poll" ? [bareFanServer] : []),
    ...otherFanServers(setting),
  ];
  const all = new Map(contenders.map((contender) => [contender, [] as Fanned[]]));
  for (let round = 0; round < ROUNDS[setting.extent]; round++) {
    for (const [contender, fanned] of all) fanned.push(await fanOnce(contender, count));
  }
  const [ours, ...others] = [...all].map(([contender, fanned]) => ({ name: contender.name, fanned }));
  if (ours === undefined) return [];

  const work = `one message to ${count.toLocaleString("en")} ${name}`;
  const target = (most: number) => (count === MANY ? atMost(most) : undefined);
  const last = of("ms", ours.fanned, "last");
  const lines: Line[] = [
    { work: `${work}, to the last`, ours: last, target: target(300) },
    ...others.map((other) => ({
      work: `${work}, to the last`,
      ours: last,
      beside: { name: other.name, figure: of("ms", other.fanned, "last") },
    })),
  ];
  if (hasProc) {
    const kib = of("KiB", ours.fanned, "kib");
    lines.push({ work: `${work}, memory each`, ours: kib, target: target(15) });
    lines.push(
      ...others.map((other) => ({
        work: `${work}, memory each`,
        ours: kib,
        beside: { name: other.name, figure: of("KiB", other.fanned, "kib") },
      })),
    );
  }
  const health = of("ms", ours.fanned, "health");
  return [...lines, { work: `${work}, /health meanwhile, worst`, ours: health, target: target(20) }];
}

function of(unit: Unit, fanned: readonly Fanned[], what: keyof Fanned): Figure {
  return figure(
    unit,
    fanned.map((one) => one[what]),
  );
}

async function fanOnce({ kind, begin }: FanContender, count: number): Promise<Fanned> {
  await using server = await begin();
  await quiet(server.pid);
  const alone = hasProc ? residentKib(server.pid) : 0;
  const task: WaitersTask = { kind, port: server.port, count, text: TEXT };
  await using waiters = start(workerCommand("waiters", task));
  await ready(waiters);
  await quiet(server.pid);
  const kib = hasProc ? (residentKib(server.pid) - alone) / count : 0;

  waiters.tell("go\n");
  const asking = new AbortController();
  const health = worstHealth(server, asking.signal);
  await pause(50);
  const started = Number(process.hrtime.bigint()) / 1e6;
  await server.send(TEXT);
  const answer = await answerOf(waiters);
  asking.abort();
  if (answer.number("lost") > 0) throw new Error(`${answer.number("lost")} of ${count} ${kind} waiters were lost`);
  return { kib, last: Math.max(...answer.numbers("arrivals")) - started, health: await health };
}

/** Asks over and over, until the signal. */
async function worstHealth({ health }: FanServer, signal: AbortSignal): Promise<number> {
  if (health === undefined) return 0;
  let worst = 0;
  while (!signal.aborted) {
    const started = performance.now();
    await health();
    worst = Math.max(worst, performance.now() - started);
    await pause(1);
  }
  return worst;
}

/** As many as a process here may have connections. */
function waiterCount({ extent, note }: Setting): number {
  const wanted = extent === "quick" ? FEW : MANY;
  const most = hasProc ? openFiles() - SPARE_FILES : wanted;
  if (most >= wanted) return wanted;
  note(`a process may have ${openFiles()} files open here, so ${most} waiters stand for ${wanted}: ulimit -n`);
  return most;
}
