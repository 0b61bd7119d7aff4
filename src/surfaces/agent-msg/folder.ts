import {
  closeSync,
  constants,
  type FSWatcher,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  watch,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { conflict, hasCode, invalid } from "../../core/errors.ts";
import { nameFault } from "../../core/names.ts";

/** Puts a file in place at once and whole: who looks sees all of it, or what was there before. */
export function writeWhole(file: string, text: string): void {
  const folder = dirname(file);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const draft = join(folder, `.${basename(file)}.${unique()}`);
  try {
    const opened = openSync(draft, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      const bytes = Buffer.from(text);
      for (let done = 0; done < bytes.length; ) done += writeSync(opened, bytes, done);
      fsyncSync(opened);
    } finally {
      closeSync(opened);
    }
    renameSync(draft, file);
  } catch (error) {
    remove(draft);
    throw error;
  }
}

const LOCK_MS = 5_000;
export const sleepCell = new Int32Array(new SharedArrayBuffer(4));

/** Does something that two must not do at once. A lock that is older than all such work was left by someone who died. */
export function underLock(file: string, act: () => void): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  for (const end = Date.now() + 2 * LOCK_MS; !made(file); Atomics.wait(sleepCell, 0, 0, 2 + Math.random() * 10)) {
    const since = statSync(file, { throwIfNoEntry: false })?.mtimeMs;
    if (since !== undefined && Date.now() - since > LOCK_MS) remove(file);
    if (Date.now() >= end) throw conflict(`somebody else is changing the list of agents: remove ${file} if nobody is`);
  }
  try {
    act();
  } finally {
    remove(file);
  }
}

function made(file: string): boolean {
  try {
    closeSync(openSync(file, "wx", 0o600));
    return true;
  } catch (error) {
    if (hasCode(error, "EEXIST")) return false;
    throw error;
  }
}

/** Removes a file, if nobody else did. */
export function remove(file: string): void {
  try {
    unlinkSync(file);
  } catch (error) {
    if (!hasCode(error, "ENOENT")) throw error;
  }
}

/** Sorts by when it was made. */
export function unique(): string {
  return Date.now().toString(36) + Math.random().toString(36).slice(2, 14).padEnd(12, "0");
}

/** An agent as agents.json has it. */
export interface FolderAgent {
  readonly name: string;
  readonly type: string;
  readonly registered: string;
}

/** A message as its file has it. What others wrote may lack anything but the text. */
export interface Letter {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly message: string;
  readonly timestamp: string;
  readonly status?: string;
}

/** The folder that agent-msg's original works on, and may work on at the same time. */
export interface Folder {
  /** Where a name's inbox is, or would be. */
  inboxOf(name: string): string;
  register(name: string, type: string): void;
  agents(): readonly FolderAgent[];
  has(name: string): boolean;
  /** Whether there is an inbox of that name, registered or not. */
  hasInbox(name: string): boolean;
  makeInbox(name: string): string;
  put(letter: Letter): void;
  /** What lies in an inbox, oldest first. */
  read(name: string): readonly Letter[];
  /** The same, for nobody else from now on: `arrived` removes one; what isn't said to have arrived lies there again after a while. */
  take(name: string): readonly Letter[];
  arrived(name: string, letter: Letter): void;
}

/** How long what was taken may be on its way before it is there again for others. */
const LEASE_MS = 10_000;

/** Not the ending that the original looks for. */
const TAKEN = ".taken";

export function openFolder(path: string): Folder {
  const agentsFile = join(path, "agents.json");
  const inboxOf = (name: string) => join(path, "inbox", checked(name));
  const make = (folder: string) => {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return folder;
  };

  const letters = (name: string, take: boolean): Letter[] => {
    const inbox = inboxOf(name);
    putBackOverdue(inbox);
    return listed(inbox)
      .filter((file) => file.endsWith(".json"))
      .flatMap((file) => {
        const letter = readLetter(join(inbox, file), file.slice(0, -".json".length));
        return letter !== undefined && (!take || moved(join(inbox, file), join(inbox, file + TAKEN))) ? [letter] : [];
      })
      .sort((a, b) => (a.timestamp < b.timestamp ? -1 : a.timestamp > b.timestamp ? 1 : 0));
  };

  return {
    inboxOf,
    register(name, type) {
      for (const kind of ["inbox", "outbox"]) make(join(path, kind, checked(name)));
      underLock(`${agentsFile}.lock`, () => {
        const registered = new Date().toISOString();
        const entry = { name, type, registered, inbox: inboxOf(name), outbox: join(path, "outbox", name) };
        const others = Object.entries(readAgents(agentsFile)).filter(([known]) => known !== name);
        const agents = Object.fromEntries([...others, [name, entry]]);
        writeWhole(agentsFile, JSON.stringify(agents, null, 2));
      });
    },
    agents: () =>
      Object.entries(readAgents(agentsFile)).map(([name, entry]) => ({
        name,
        type: textOf(entry, "type"),
        registered: textOf(entry, "registered"),
      })),
    has: (name) => Object.hasOwn(readAgents(agentsFile), checked(name)),
    hasInbox: (name) => statSync(inboxOf(name), { throwIfNoEntry: false })?.isDirectory() ?? false,
    makeInbox: (name) => make(inboxOf(name)),
    put: (letter) => writeWhole(join(make(inboxOf(letter.to)), `${letter.id}.json`), JSON.stringify(letter, null, 2)),
    read: (name) => letters(name, false),
    take: (name) => letters(name, true),
    arrived: (name, { id }) => remove(join(inboxOf(name), `${id}.json${TAKEN}`)),
  };
}

const NAME_BYTES = 200;

/** A name that stays in its folder. */
function checked(name: string): string {
  const fault =
    nameFault(name) ??
    (/[/\\]/.test(name) || name === "." || name === ".." || name === ""
      ? "must be the name of a file: without slashes, and neither . nor .."
      : Buffer.byteLength(name) > NAME_BYTES
        ? `must be ${NAME_BYTES} bytes at most`
        : undefined);
  if (fault === undefined) return name;
  throw invalid(`the agent's name ${JSON.stringify(name)} ${fault}`);
}

function readAgents(file: string): Readonly<Record<string, unknown>> {
  const agents = readJson(file);
  if (agents === undefined) return {};
  if (typeof agents === "object" && agents !== null && !Array.isArray(agents)) return { ...agents };
  throw invalid(`${file} is damaged: it is not a list of agents. Mend it, or remove it and register the agents again`);
}

const PATIENCE_MS = 200;

/** A file of JSON; undefined where there is none. The original writes in place, so that one may be half written for a moment. */
function readJson(file: string): unknown {
  for (const end = Date.now() + PATIENCE_MS; ; Atomics.wait(sleepCell, 0, 0, 5)) {
    try {
      return JSON.parse(readFileSync(file, "utf8"));
    } catch (error) {
      if (hasCode(error, "ENOENT")) return undefined;
      if (!(error instanceof SyntaxError)) throw invalid(`${file} can't be read: ${String(error)}`);
      if (Date.now() >= end) return null;
    }
  }
}

/** A letter that is whole. Another is looked at again later: the original may just be writing it. */
function readLetter(file: string, id: string): Letter | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (typeof value !== "object" || value === null) return undefined;
    const status = textOf(value, "status");
    return {
      ...value,
      id,
      from: textOf(value, "from"),
      to: textOf(value, "to"),
      message: textOf(value, "message"),
      timestamp: textOf(value, "timestamp"),
      ...(status === "" ? {} : { status }),
    };
  } catch {
    return undefined;
  }
}

/** A field of a value that somebody else made, as text. */
export function textOf(value: unknown, field: string): string {
  const found: unknown = typeof value === "object" && value !== null ? Reflect.get(value, field) : undefined;
  return typeof found === "string" ? found : found === undefined ? "" : JSON.stringify(found);
}

/** Whoever took them has died on the way. A file's change time says when it was renamed. */
function putBackOverdue(inbox: string): void {
  for (const file of listed(inbox).filter((name) => name.endsWith(TAKEN))) {
    const taken = join(inbox, file);
    const since = statSync(taken, { throwIfNoEntry: false })?.ctimeMs;
    if (since !== undefined && Date.now() - since > LEASE_MS) moved(taken, taken.slice(0, -TAKEN.length));
  }
}

function listed(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Answers whether it was there to be moved: of several who try, one succeeds. */
function moved(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch {
    return false;
  }
}

export interface FolderBell extends Disposable {
  /** Ends when something in the folder has changed since it was last heard, after so long at the latest. */
  rung(milliseconds: number, signal: AbortSignal): Promise<void>;
}

/** Hears what others put into a folder. Where nothing can be watched, whoever waits looks by the clock. */
export function createFolderBell(folder: string): FolderBell {
  let heard = false;
  let wake = () => {};
  const watcher = watching(folder, () => {
    heard = true;
    wake();
  });
  return {
    rung: (milliseconds, signal) =>
      new Promise((resolve) => {
        const done = () => {
          clearTimeout(timer);
          signal.removeEventListener("abort", done);
          wake = () => {};
          heard = false;
          resolve();
        };
        const timer = setTimeout(done, milliseconds);
        if (heard || signal.aborted) return done();
        signal.addEventListener("abort", done, { once: true });
        wake = done;
      }),
    [Symbol.dispose]: () => watcher?.close(),
  };
}

function watching(folder: string, hear: () => void): FSWatcher | undefined {
  try {
    return watch(folder, { persistent: false }, hear).on("error", () => {});
  } catch {
    return undefined;
  }
}
