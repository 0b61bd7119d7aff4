import { readdirSync, readFileSync } from "node:fs";
import { pause } from "./processes.ts";

/** Whether this system tells about other processes as Linux does. */
export const hasProc = process.platform === "linux";

/** Milliseconds of processor time that a process and its threads have had. */
export function cpuMs(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const nanoseconds = threads.map((thread) =>
    Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]),
  );
  return nanoseconds.reduce((sum, one) => sum + one, 0) / 1e6;
}

/** KiB of memory that no other process shares. */
export function privateKib(pid: number): number {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  return ["Private_Clean", "Private_Dirty"].reduce((sum, name) => sum + kib(rollup, name), 0);
}

/** KiB of memory that a process has in all. */
export function residentKib(pid: number): number {
  return kib(readFileSync(`/proc/${pid}/status`, "utf8"), "VmRSS");
}

function kib(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0);
}

const QUIET_MS = 250;
const MAX_MS = 60_000;

/** Waits until a process has done what it was given, as its use of the processor tells. */
export async function quiet(pid: number): Promise<void> {
  if (!hasProc) return pause(3_000);
  for (let waited = 0, last = cpuMs(pid); waited < MAX_MS; waited += QUIET_MS) {
    await pause(QUIET_MS);
    const now = cpuMs(pid);
    if (now - last < QUIET_MS / 20) return;
    last = now;
  }
}

/** How many files and connections a process that we start may have open. */
export function openFiles(): number {
  if (!hasProc) return 0;
  return Number(/^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? 0);
}
