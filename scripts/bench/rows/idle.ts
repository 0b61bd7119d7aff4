import type { Bench } from "../bench.ts";
import { figure } from "../figures.ts";
import { temporaryFolder } from "../folder.ts";
import { atMost, type Line } from "../lines.ts";
import { cpuMs, hasProc, privateKib, residentKib } from "../proc.ts";
import { pause, start } from "../processes.ts";
import { command, on } from "../program.ts";

const SECONDS = { quick: 3, usual: 20, long: 60 } as const;
const WAITERS = 5;
const SETTLE_MS = 2_500;

export const idle: Bench = {
  name: "idle",
  about: "what waiters in `read --wait` cost while nothing comes: processor time, and memory beyond Node's own",
  run: async ({ extent, original: python, note }) => {
    if (!hasProc) {
      note("idle: not measured, since this system has no /proc");
      return [];
    }
    using our = temporaryFolder();
    using their = temporaryFolder();
    await using stack = new AsyncDisposableStack();
    const several = (words: readonly string[], variables = {}) =>
      Array.from({ length: WAITERS }, () => stack.use(start(words, variables)).pid);

    const ours = several(command("read", "builds", "reader", "--wait"), on(our));
    const bare = several([process.execPath, "-e", "setInterval(() => {}, 1e6)"]);
    const theirs = python && several(python.command("read", "builds", "reader", "--wait"), on(their));
    await pause(SETTLE_MS);

    const all = [...ours, ...bare, ...(theirs ?? [])];
    const before = new Map(all.map((pid) => [pid, cpuMs(pid)]));
    const started = performance.now();
    await pause(SECONDS[extent] * 1_000);
    const share = (pid: number) => ((cpuMs(pid) - (before.get(pid) ?? 0)) / (performance.now() - started)) * 100;
    const cpu = (pids: readonly number[]) => figure("%", pids.map(share));
    const memory = (pids: readonly number[], kib: (pid: number) => number) => pids.map((pid) => kib(pid) / 1_024);
    const beyondNode = (kib: (pid: number) => number) => {
      const alone = figure("MB", memory(bare, kib)).median;
      return figure(
        "MB",
        memory(ours, kib).map((mb) => mb - alone),
      );
    };
    const original = { name: "original", figure: theirs && cpu(theirs) };
    const node = { name: "Node's own", figure: figure("MB", memory(bare, residentKib)) };
    const lines: Line[] = [
      { work: "an idle waiter, of one core", ours: cpu(ours), beside: original, target: atMost(0.05) },
      { work: "an idle waiter, memory beyond Node's", ours: beyondNode(residentKib), beside: node, target: atMost(11) },
      { work: "the same, each further waiter", ours: beyondNode(privateKib) },
    ];
    return lines;
  },
};
