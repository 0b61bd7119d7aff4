import {
  closeSync,
  constants,
  existsSync,
  type FSWatcher,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  statSync,
  unlinkSync,
  watch,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { Store } from "../core/store.ts";
import { monotonicMs, repeatEvery } from "../core/time.ts";
import type { Topic, Wakeup } from "../core/waiting.ts";
import { createAsker, createBells } from "./bells.ts";

export interface FileBells {
  /** Holds a file per topic that is waited for; made, for its owner alone, when it is first needed. */
  readonly folder: string;
  /** What was changed since it was last asked, for writers that ring no bell; undefined: anything. */
  readonly changes: Store["changes"];
}

/** How often the store is asked whether somebody wrote without ringing, and how often where files can't be watched. */
const CLOCK_MS = 500;
const QUICK_CLOCK_MS = 50;

const STALE_MS = 24 * 3600 * 1_000;

/** Looking at each bell of ten thousand with each new one would take longer than all the rest. */
const CLEANING_MS = 3600 * 1_000;

/** Neither following a link nor waiting at a pipe that somebody put in a bell's place. */
const OPEN_BELL = constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Bells between processes: a small file per topic. A waiter makes it and watches it; a sender writes to it after its
 * commit, and only if it is there. Never the write-ahead log: its event comes before the commit can be seen.
 */
export function createFileBells({ folder, changes }: FileBells): Wakeup {
  const bells = createBells();
  const ask = createAsker(bells, changes);
  const watchers = new Map<string, FSWatcher>();
  let clock: Disposable | undefined;
  let clockMs = CLOCK_MS;
  let rung = new Set<Topic>();
  let cleaned = Number.NEGATIVE_INFINITY;

  const listen = (topic: Topic): void => {
    try {
      const file = bellFile(folder, topic);
      const isNew = makeBell(folder, file);
      if (isNew && monotonicMs() - cleaned > CLEANING_MS) {
        cleaned = monotonicMs();
        removeStale(folder);
      }
      const watcher = watch(file, (event) => {
        if (event === "rename") rearm(topic);
        bells.ring(topic);
      });
      watcher.on("error", () => deafen(topic));
      watchers.set(topic, watcher);
    } catch {
      deafen(topic);
    }
  };

  /** Somebody cleaned up the file. */
  const rearm = (topic: Topic): void => {
    hush(topic);
    if (bells.has(topic)) listen(topic);
  };

  const hush = (topic: Topic): void => {
    watchers.get(topic)?.close();
    watchers.delete(topic);
  };

  /** This topic's file can't be watched (too many watches, a network file system): from now on the clock is quick. */
  const deafen = (topic: Topic): void => {
    hush(topic);
    if (clockMs === QUICK_CLOCK_MS) return;
    clockMs = QUICK_CLOCK_MS;
    clock?.[Symbol.dispose]();
    clock = repeatEvery(clockMs, ask);
  };

  const disarmed = (topic: Topic): void => {
    if (!bells.has(topic)) hush(topic);
    if (watchers.size > 0 || !isEmpty(bells.topics)) return;
    clock?.[Symbol.dispose]();
    clock = undefined;
    clockMs = CLOCK_MS;
  };

  /** Sends that shared a commit ring together, and so each bell once; still before any of them is answered. */
  const touchRung = (): void => {
    const topics = rung;
    rung = new Set();
    for (const topic of topics) {
      try {
        if (isOurs(folder)) touch(bellFile(folder, topic));
      } catch {
        // Nobody waits there any more, or the clock will tell them.
      }
    }
  };

  return {
    ring(topic) {
      bells.ring(topic);
      if (rung.size === 0) queueMicrotask(touchRung);
      rung.add(topic);
    },

    arm(topic) {
      const first = !bells.has(topic);
      const bell = bells.arm(topic, () => disarmed(topic));
      clock ??= repeatEvery(clockMs, ask);
      if (first) listen(topic);
      return bell;
    },

    async [Symbol.asyncDispose]() {
      touchRung();
      clock?.[Symbol.dispose]();
      for (const topic of [...watchers.keys()]) hush(topic);
    },
  };
}

function touch(file: string): void {
  // To find out by an exception that nobody waits there costs more than the rest of a ring.
  if (!existsSync(file)) return;
  const bell = openSync(file, OPEN_BELL);
  try {
    // A byte, not a time stamp: macOS tells a watcher of writes only.
    writeSync(bell, "\n", 0);
  } finally {
    closeSync(bell);
  }
}

/**
 * A topic's bell by name. Short names are spelled out in hex, which costs nothing; a hash would make an unsigned send
 * load node:crypto for it.
 */
function bellFile(folder: string, topic: Topic): string {
  const name = Buffer.from(topic);
  if (name.length <= 100) return join(folder, name.toString("hex"));
  return join(folder, `sha256-${process.getBuiltinModule("node:crypto").hash("sha256", name)}`);
}

/** Answers whether there was none yet. */
function makeBell(folder: string, file: string): boolean {
  mkdirSync(folder, { mode: 0o700, recursive: true });
  if (!isOurs(folder)) throw new Error("not a folder of ours");
  const isNew = statSync(file, { throwIfNoEntry: false }) === undefined;
  closeSync(openSync(file, OPEN_BELL | constants.O_CREAT, 0o600));
  return isNew;
}

/** In a folder that others can write to they may have put another in its place. */
function isOurs(folder: string): boolean {
  const found = lstatSync(folder, { throwIfNoEntry: false });
  return found?.isDirectory() === true && found.uid === (process.getuid?.() ?? found.uid);
}

/** Bells that nobody rang or made for a day. One that somebody still watches is made again: they see it go. */
function removeStale(folder: string): void {
  for (const name of readdirSync(folder)) {
    const file = join(folder, name);
    const found = lstatSync(file, { throwIfNoEntry: false });
    if (found !== undefined && Date.now() - found.mtimeMs > STALE_MS) unlinkSync(file);
  }
}

function isEmpty(items: Iterable<unknown>): boolean {
  for (const _ of items) return false;
  return true;
}
