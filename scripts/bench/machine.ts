import { closeSync, fdatasyncSync, openSync, statfsSync, writeSync } from "node:fs";
import { cpus, release, type as system, totalmem } from "node:os";
import { percentile } from "./figures.ts";
import type { Folder } from "./folder.ts";
import { pause } from "./processes.ts";

/** Where the figures come from: without this they say nothing. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly node: string;
  readonly kernel: string;
  /** Of the disk that the temporary folders are on: what one small durable write costs. */
  readonly fsyncMs: number;
  /** The temporary folder is in memory: nothing there is durable, and FULL costs nothing. */
  readonly inMemory: boolean;
}

const TMPFS = 0x01021994;

export function machine(folder: Folder): Machine {
  const [first] = cpus();
  return {
    cpu: first?.model.trim() || "unknown CPU",
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 1e9),
    node: process.version,
    kernel: `${system()} ${release()}`,
    fsyncMs: fsyncMs(folder.file("fsync")),
    inMemory: process.platform === "linux" && statfsSync(folder.path).type === TMPFS,
  };
}

export function machineText({ cpu, cores, memoryGb, node, kernel, fsyncMs, inMemory }: Machine): string {
  const disk = inMemory ? "temporary folder in memory: FULL costs nothing here" : `fsync ${fsyncMs.toFixed(2)} ms`;
  return `${cpu}, ${cores} cores, ${memoryGb} GB, Node ${node}, ${kernel}, ${disk}`;
}

/** How busy others keep it, from 0 to 1, looking for a moment in which we do nothing. */
export async function othersShare(): Promise<number> {
  const before = idleAndAll();
  await pause(LOOK_MS);
  const after = idleAndAll();
  return 1 - (after.idle - before.idle) / Math.max(1, after.all - before.all);
}

const LOOK_MS = 1_000;

function idleAndAll(): { idle: number; all: number } {
  const times = cpus().map(({ times: { idle, user, nice, sys, irq } }) => ({
    idle,
    all: idle + user + nice + sys + irq,
  }));
  return {
    idle: times.reduce((sum, { idle }) => sum + idle, 0),
    all: times.reduce((sum, { all }) => sum + all, 0),
  };
}

function fsyncMs(path: string): number {
  const file = openSync(path, "w");
  const block = Buffer.alloc(4_096);
  const samples = Array.from({ length: 50 }, () => {
    const started = performance.now();
    writeSync(file, block);
    fdatasyncSync(file);
    return performance.now() - started;
  });
  closeSync(file);
  return percentile(samples, 50);
}
