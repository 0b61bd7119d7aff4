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

/** Replaces a file atomically: readers see all of the new text or all of the old. */
export function replaceFile(file: string, text: string): void {
  const folder = dirname(file);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const draft = join(folder, `.${basename(file)}.${createId()}`);
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
const sleepCell = new Int32Array(new SharedArrayBuffer(4));

/** Runs `act` while holding a lock file. A lock older than LOCK_MS was left by a process that died. */
function withLock(file: string, act: () => void): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  for (const end = Date.now() + 2 * LOCK_MS; !createFile(file); Atomics.wait(sleepCell, 0, 0, 2 + Math.random() * 10)) {
    const since = statSync(file, { throwIfNoEntry: false })?.mtimeMs;
    if (since !== undefined && Date.now() - since > LOCK_MS) remove(file);
    if (Date.now() >= end) throw conflict(`another process is changing the list of agents; if none is, remove ${file}`);
  }
  try {
    act();
  } finally {
    remove(file);
  }
}

/** Returns false where the file exists. */
function createFile(file: string): boolean {
  try {
    closeSync(openSync(file, "wx", 0o600));
    return true;
  } catch (error) {
    if (hasCode(error, "EEXIST")) return false;
    throw error;
  }
}

function remove(file: string): void {
  try {
    unlinkSync(file);
  } catch (error) {
    if (!hasCode(error, "ENOENT")) throw error;
  }
}

/** Ids sort by creation time. */
function createId(): string {
  return Date.now().toString(36) + Math.random().toString(36).slice(2, 14).padEnd(12, "0");
}

export interface NewLetter {
  readonly from: string;
  readonly to: string;
  readonly message: string;
  readonly status?: string;
}

/** A message as stored in its file. A field that another program left out is an empty string. */
export interface Letter extends NewLetter {
  readonly id: string;
  readonly timestamp: string;
}

/** The folder of the original agent-msg, which may be working on it at the same time. */
export interface Folder {
  /** The path of a name's inbox, which may not exist. */
  inboxOf(name: string): string;
  register(name: string, type: string): void;
  agents(): readonly Readonly<Record<"name" | "type" | "registered", string>>[];
  isRegistered(name: string): boolean;
  /** Whether a name has an inbox. It may have one without being registered. */
  hasInbox(name: string): boolean;
  makeInbox(name: string): string;
  /** Stores a message in its recipient's inbox, and returns its id. */
  put(letter: NewLetter): string;
  /** The messages in an inbox, oldest first. */
  read(name: string): readonly Letter[];
  /** Leases the messages in an inbox. An unacknowledged message returns after LEASE_MS. */
  take(name: string): readonly Letter[];
  acknowledge(name: string, letter: Letter): void;
}

/**
 * Writes a file for a name registered in the folder, and sends to any other name on the bus; never both. Having an inbox
 * doesn't count as registered: polling creates one, and a polling agent also reads from the bus.
 */
export function sendLetter<Sent>(folder: Folder, letter: NewLetter, sendOnBus: () => Sent): string | Sent {
  return folder.isRegistered(letter.to) ? folder.put(letter) : sendOnBus();
}

const LEASE_MS = 10_000;

/** The suffix of a leased file. The original ignores such files. */
const LEASED = ".taken";

export function openFolder(path: string): Folder {
  const agentsFile = join(path, "agents.json");
  const inboxOf = (name: string) => join(path, "inbox", checkName(name));
  const make = (folder: string) => {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return folder;
  };

  const readLetters = (name: string, take: boolean): Letter[] => {
    const inbox = inboxOf(name);
    endOldLeases(inbox);
    return listFiles(inbox)
      .filter((file) => file.endsWith(".json"))
      .flatMap((file) => {
        const letter = readLetter(join(inbox, file), file.slice(0, -".json".length));
        return letter !== undefined && (!take || tryRename(join(inbox, file), join(inbox, file + LEASED)))
          ? [letter]
          : [];
      })
      .sort((a, b) => (a.timestamp < b.timestamp ? -1 : a.timestamp > b.timestamp ? 1 : 0));
  };

  return {
    inboxOf,
    register(name, type) {
      for (const kind of ["inbox", "outbox"]) make(join(path, kind, checkName(name)));
      withLock(`${agentsFile}.lock`, () => {
        const registered = new Date().toISOString();
        const entry = { name, type, registered, inbox: inboxOf(name), outbox: join(path, "outbox", name) };
        const others = Object.entries(readAgents(agentsFile)).filter(([known]) => known !== name);
        const agents = Object.fromEntries([...others, [name, entry]]);
        replaceFile(agentsFile, JSON.stringify(agents, null, 2));
      });
    },
    agents: () =>
      Object.entries(readAgents(agentsFile)).map(([name, entry]) => ({
        name,
        type: textOf(entry, "type"),
        registered: textOf(entry, "registered"),
      })),
    isRegistered: (name) => Object.hasOwn(readAgents(agentsFile), checkName(name)),
    hasInbox: (name) => statSync(inboxOf(name), { throwIfNoEntry: false })?.isDirectory() ?? false,
    makeInbox: (name) => make(inboxOf(name)),
    put({ from, to, message, ...more }) {
      const letter: Letter = { id: createId(), from, to, message, timestamp: new Date().toISOString(), ...more };
      replaceFile(join(make(inboxOf(to)), `${letter.id}.json`), JSON.stringify(letter, null, 2));
      return letter.id;
    },
    read: (name) => readLetters(name, false),
    take: (name) => readLetters(name, true),
    acknowledge: (name, { id }) => remove(join(inboxOf(name), `${id}.json${LEASED}`)),
  };
}

const NAME_BYTES = 200;

/** Refuses a name that would lead out of its folder. */
function checkName(name: string): string {
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
  throw invalid(
    `${file} is damaged: it is not a list of agents. Repair it, or remove it and register the agents again`,
  );
}

const RETRY_MS = 200;

/** Returns undefined where there is no file. The original writes in place, so a file may be incomplete for a moment. */
function readJson(file: string): unknown {
  for (const end = Date.now() + RETRY_MS; ; Atomics.wait(sleepCell, 0, 0, 5)) {
    try {
      return JSON.parse(readFileSync(file, "utf8"));
    } catch (error) {
      if (hasCode(error, "ENOENT")) return undefined;
      if (!(error instanceof SyntaxError)) throw invalid(`${file} can't be read: ${String(error)}`);
      if (Date.now() >= end) return null;
    }
  }
}

/** Returns undefined for an incomplete file: the original may still be writing it. */
function readLetter(file: string, id: string): Letter | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (typeof value !== "object" || value === null) return undefined;
    const status = textOf(value, "status");
    return { ...value, ...letterOf(value), id, ...(status === "" ? {} : { status }) };
  } catch {
    return undefined;
  }
}

/** Reads a message in a file or a frame. */
export function letterOf(value: unknown): Letter {
  return {
    id: textOf(value, "id"),
    from: textOf(value, "from"),
    to: textOf(value, "to"),
    message: textOf(value, "message"),
    timestamp: textOf(value, "timestamp"),
  };
}

export function textOf(value: unknown, field: string): string {
  const found: unknown = typeof value === "object" && value !== null ? Reflect.get(value, field) : undefined;
  return typeof found === "string" ? found : found === undefined ? "" : JSON.stringify(found);
}

/** Ends leases whose reader must have died. Renaming a file sets its ctime. */
function endOldLeases(inbox: string): void {
  for (const file of listFiles(inbox).filter((name) => name.endsWith(LEASED))) {
    const leased = join(inbox, file);
    const since = statSync(leased, { throwIfNoEntry: false })?.ctimeMs;
    if (since !== undefined && Date.now() - since > LEASE_MS) tryRename(leased, leased.slice(0, -LEASED.length));
  }
}

function listFiles(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Returns whether the file was there. Of several concurrent readers, one succeeds. */
function tryRename(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch {
    return false;
  }
}

interface FolderWatcher extends Disposable {
  /** Waits until something has changed since the last wait, or for this long. */
  wait(milliseconds: number, signal: AbortSignal): Promise<void>;
}

/** Where a folder can't be watched, each wait lasts its full time. */
export function watchFolder(folder: string): FolderWatcher {
  let hasChanged = false;
  let wake = () => {};
  const watcher = openWatcher(folder, () => {
    hasChanged = true;
    wake();
  });
  return {
    wait: (milliseconds, signal) =>
      new Promise((resolve) => {
        const done = () => {
          clearTimeout(timer);
          signal.removeEventListener("abort", done);
          wake = () => {};
          hasChanged = false;
          resolve();
        };
        const timer = setTimeout(done, milliseconds);
        if (hasChanged || signal.aborted) return done();
        signal.addEventListener("abort", done, { once: true });
        wake = done;
      }),
    [Symbol.dispose]: () => watcher?.close(),
  };
}

function openWatcher(folder: string, onChange: () => void): FSWatcher | undefined {
  try {
    return watch(folder, { persistent: false }, onChange).on("error", () => {});
  } catch {
    return undefined;
  }
}
