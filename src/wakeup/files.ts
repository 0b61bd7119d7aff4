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
import { createBells, createPoll } from "./bells.ts";

export interface FileBells {
  /** Holds a file per topic that is waited for. Made when it is first needed, for its owner alone. */
  readonly folder: string;
  /** Finds the changes of writers that ring no bell, such as the Python original. */
  readonly changes: Store["changes"];
}

/** Interval at which the store is asked for changes that nobody rang for; the short one where files can't be watched. */
const POLL_MS = 500;
const QUICK_POLL_MS = 50;

const STALE_MS = 24 * 3600 * 1_000;

/** Least time between two cleanings: a look at ten thousand bells for each new one would outweigh everything else. */
const CLEANING_MS = 3600 * 1_000;

/** Follows no link and blocks on no pipe that another user put in a bell's place. */
const OPEN_BELL = constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Bells between processes: a small file per topic. A waiter makes it and watches it; a sender writes to it after its
 * commit, if it exists. The write-ahead log can't serve as a bell: its event comes before the commit is visible.
 */
export function createFileBells({ folder, changes }: FileBells): Wakeup {
  const bells = createBells();
  const poll = createPoll(bells, changes);
  const watchers = new Map<string, FSWatcher>();
  let polling: Disposable | undefined;
  let pollMs = POLL_MS;
  let rung = new Set<Topic>();
  let cleanedAt = Number.NEGATIVE_INFINITY;

  const startWatching = (topic: Topic): void => {
    try {
      const file = bellFile(folder, topic);
      const isNew = makeBell(folder, file);
      if (isNew && monotonicMs() - cleanedAt > CLEANING_MS) {
        cleanedAt = monotonicMs();
        removeStale(folder);
      }
      const watcher = watch(file, (event) => {
        if (event === "rename") watchAgain(topic);
        bells.ring(topic);
      });
      watcher.on("error", () => pollQuickly(topic));
      watchers.set(topic, watcher);
    } catch {
      pollQuickly(topic);
    }
  };

  const watchAgain = (topic: Topic): void => {
    stopWatching(topic);
    if (bells.has(topic)) startWatching(topic);
  };

  const stopWatching = (topic: Topic): void => {
    watchers.get(topic)?.close();
    watchers.delete(topic);
  };

  /** For a file that can't be watched: there are too many watches, or it is on a network file system. */
  const pollQuickly = (topic: Topic): void => {
    stopWatching(topic);
    if (pollMs === QUICK_POLL_MS) return;
    pollMs = QUICK_POLL_MS;
    polling?.[Symbol.dispose]();
    polling = repeatEvery(pollMs, poll);
  };

  const disarm = (topic: Topic): void => {
    if (!bells.has(topic)) stopWatching(topic);
    if (watchers.size > 0 || [...bells.topics].length > 0) return;
    polling?.[Symbol.dispose]();
    polling = undefined;
    pollMs = POLL_MS;
  };

  /** Runs as a microtask, before any send is answered: sends that shared a commit ring each bell once. */
  const touchRung = (): void => {
    const topics = rung;
    rung = new Set();
    for (const topic of topics) {
      try {
        if (isOurs(folder)) touch(bellFile(folder, topic));
      } catch {
        // Nobody waits there any more, or their poll will find the change.
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
      const isFirst = !bells.has(topic);
      const bell = bells.arm(topic, () => disarm(topic));
      polling ??= repeatEvery(pollMs, poll);
      if (isFirst) startWatching(topic);
      return bell;
    },

    async [Symbol.asyncDispose]() {
      touchRung();
      polling?.[Symbol.dispose]();
      for (const topic of [...watchers.keys()]) stopWatching(topic);
    },
  };
}

function touch(file: string): void {
  // Usually nobody waits there, and the exception of `openSync` would cost more than the rest of a ring.
  if (!existsSync(file)) return;
  const bell = openSync(file, OPEN_BELL);
  try {
    // A byte, not a time stamp: macOS reports only writes to a watcher.
    writeSync(bell, "\n", 0);
  } finally {
    closeSync(bell);
  }
}

/** Short names are spelled in hex, which costs nothing; for a hash, an unsigned send would have to load node:crypto. */
function bellFile(folder: string, topic: Topic): string {
  const name = Buffer.from(topic);
  if (name.length <= 100) return join(folder, name.toString("hex"));
  return join(folder, `sha256-${process.getBuiltinModule("node:crypto").hash("sha256", name)}`);
}

/** Returns whether there was none yet. */
function makeBell(folder: string, file: string): boolean {
  mkdirSync(folder, { mode: 0o700, recursive: true });
  if (!isOurs(folder)) throw new Error("not a folder of ours");
  const isNew = statSync(file, { throwIfNoEntry: false }) === undefined;
  closeSync(openSync(file, OPEN_BELL | constants.O_CREAT, 0o600));
  return isNew;
}

/** False if another user put a folder or link in its place. */
function isOurs(folder: string): boolean {
  const found = lstatSync(folder, { throwIfNoEntry: false });
  return found?.isDirectory() === true && found.uid === (process.getuid?.() ?? found.uid);
}

/** Removes bells that nobody rang or made for a day. A process that still watches one then makes it again. */
function removeStale(folder: string): void {
  for (const name of readdirSync(folder)) {
    const file = join(folder, name);
    const found = lstatSync(file, { throwIfNoEntry: false });
    if (found !== undefined && Date.now() - found.mtimeMs > STALE_MS) unlinkSync(file);
  }
}
