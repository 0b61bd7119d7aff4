import { mkdirSync, readdirSync, readFileSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { hasCode, invalid } from "../../core/errors.ts";
import { nameFault } from "../../core/names.ts";
import { remove, underLock, writeWhole } from "./files.ts";

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
const cell = new Int32Array(new SharedArrayBuffer(4));

/** A file of JSON; undefined where there is none. The original writes in place, so that one may be half written for a moment. */
function readJson(file: string): unknown {
  for (const end = Date.now() + PATIENCE_MS; ; Atomics.wait(cell, 0, 0, 5)) {
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
