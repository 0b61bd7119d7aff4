import { closeSync, fdatasyncSync, openSync, readFileSync, statfsSync, writeSync } from "node:fs";
import { cpus, release, type as system, totalmem } from "node:os";
import { percentile } from "./figures.ts";
import type { Folder } from "./folder.ts";

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

/** How busy it is with other things; undefined where the system doesn't say. */
export function load(): string | undefined {
  try {
    return readFileSync("/proc/loadavg", "utf8").split(" ")[0];
  } catch {
    return undefined;
  }
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
