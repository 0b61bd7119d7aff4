import { invalid } from "./errors.ts";
import { nodeCrypto } from "./keys.ts";
import { CONTENT_BYTES } from "./limits.ts";
import { nameFault } from "./names.ts";
import type {
  Agent,
  Archive,
  ArrivedIds,
  Command,
  CommandStatus,
  NewMessage,
  RequestKey,
  Revoked,
  Session,
  Signal,
  Store,
  StoredMessage,
  Watermark,
} from "./store.ts";

/** What an export is made of: a value a line, each under a word that says what it is. */
export type Exported = Readonly<Record<string, unknown>>;

export const EXPORT_FORMAT = 1;

export interface Exporting {
  /** The last message that was exported before, where this goes on from there. */
  readonly after: number;
  readonly now: number;
  /** Called as messages are handed out. */
  readonly progress?: (progress: { readonly done: number; readonly of: number }) => void;
}

/**
 * All that the bus holds. Operators come before those whom they vouched for, requests before the messages that they made,
 * and messages before what says how far somebody has come among them.
 */
export async function* exportBus(store: Store, { after, now, progress }: Exporting): AsyncGenerator<Exported> {
  const [archive, last] = [await store.archive(after), await store.messages.lastId()];
  yield { export: { format: EXPORT_FORMAT, at: now, after, last } };
  const byRole = [...archive.agents].sort((a, b) => Number(b.role === "operator") - Number(a.role === "operator"));
  for (const agent of byRole) yield { agent };
  for (const revoked of archive.revoked) yield { revoked };
  for await (const request of archive.nonces) if (request.messageId > after) yield { request };
  let messages = 0;
  for await (const message of archive.messages) {
    yield { message };
    if (++messages % 1_000 === 0) progress?.({ done: message.id - after, of: Math.max(last, message.id) - after });
  }
  yield* rest(archive);
  yield { complete: { messages } };
}

async function* rest({ watermarks, arrived, peers, orders, signals }: Archive): AsyncGenerator<Exported> {
  for await (const watermark of watermarks) yield { watermark };
  for await (const mail of arrived) yield { arrived: mail };
  for (const peer of peers) yield { peer };
  for await (const order of orders) yield { order };
  for await (const signal of signals) yield { signal };
}

type Value = Readonly<Record<string, unknown>>;

/** What a line of an export says, once it was looked at: a file may come from anywhere. */
export type Line =
  | { readonly export: { readonly format: number } }
  | { readonly agent: Agent }
  | { readonly revoked: Revoked }
  | { readonly request: RequestKey & { readonly messageId: number } }
  | { readonly message: StoredMessage }
  | { readonly watermark: Watermark }
  | { readonly arrived: ArrivedIds }
  | { readonly peer: Session }
  | { readonly order: Command }
  | { readonly signal: Signal }
  | { readonly complete: object };

/** Undefined where it is no line of an export; throws where it is one, and what it says can't be. */
export function readLine(value: unknown): Line | undefined {
  if (!isValue(value)) return undefined;
  const [word, ...more] = Object.keys(value);
  const said = word === undefined ? undefined : value[word];
  if (word === undefined || more.length > 0 || !isValue(said) || !Object.hasOwn(readers, word)) return undefined;
  return readers[word]?.(said);
}

const readers: Readonly<Record<string, (said: Value) => Line>> = {
  export: (said) => ({ export: { format: number(said, "format") } }),
  agent: (said) => ({
    agent: {
      name: name(said, "name"),
      identity: text(said, "identity"),
      publicKey: text(said, "publicKey"),
      role: oneOf(said, "role", ["agent", "operator"]),
      registeredBy: nullable(said, "registeredBy", name),
      createdAt: number(said, "createdAt"),
      v2Only: said.v2Only === true,
    },
  }),
  revoked: (said) => ({
    revoked: {
      name: name(said, "name"),
      publicKey: text(said, "publicKey"),
      registeredBy: nullable(said, "registeredBy", name),
    },
  }),
  request: (said) => ({
    request: {
      signer: name(said, "signer"),
      nonce: name(said, "nonce"),
      digest: text(said, "digest"),
      at: number(said, "at"),
      messageId: id(said, "messageId"),
    },
  }),
  message: (said) => ({
    message: {
      id: id(said, "id"),
      channel: name(said, "channel"),
      sender: name(said, "sender"),
      content: content(said),
      timestamp: number(said, "timestamp"),
      signature: text(said, "signature"),
      attested: said.attested === true,
    },
  }),
  watermark: (said) => ({
    watermark: { channel: name(said, "channel"), agent: name(said, "agent"), lastId: id(said, "lastId") },
  }),
  arrived: (said) => ({ arrived: { channel: name(said, "channel"), ids: list(said, "ids").map(asId) } }),
  peer: (said) => ({
    peer: {
      id: name(said, "id"),
      role: name(said, "role"),
      capabilities: list(said, "capabilities").map(String),
      agent: nullable(said, "agent", name),
      connectedAt: number(said, "connectedAt"),
      lastSeen: number(said, "lastSeen"),
      waitingFor: nullable(said, "waitingFor", text),
    },
  }),
  order: (said) => ({
    order: {
      id: name(said, "id"),
      kind: oneOf(said, "kind", ["command", "command_response"]),
      from: name(said, "from"),
      fromId: nullable(said, "fromId", name),
      target: nullable(said, "target", name),
      targetRole: text(said, "targetRole"),
      action: text(said, "action"),
      params: said.params ?? null,
      createdAt: number(said, "createdAt"),
      leaseSeconds: number(said, "leaseSeconds"),
      expiresAt: nullable(said, "expiresAt", number),
      status: oneOf(said, "status", STATUSES),
      attempts: number(said, "attempts"),
      holder: nullable(said, "holder", name),
      leaseUntil: nullable(said, "leaseUntil", number),
      result: said.result ?? null,
      endedAt: nullable(said, "endedAt", number),
    },
  }),
  signal: (said) => ({
    signal: {
      name: name(said, "name"),
      data: said.data ?? null,
      sender: name(said, "sender"),
      setAt: number(said, "setAt"),
    },
  }),
  complete: (said) => ({ complete: said }),
};

const STATUSES: readonly CommandStatus[] = ["pending", "leased", "acked", "failed", "dead", "expired"];

function isValue(value: unknown): value is Value {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function text(said: Value, field: string): string {
  const value = said[field];
  if (typeof value === "string" && value.isWellFormed()) return value;
  throw invalid(`${field} must be a text`);
}

function name(said: Value, field: string): string {
  const value = text(said, field);
  const fault = nameFault(value);
  if (fault === undefined) return value;
  throw invalid(`${field} ${fault}`);
}

function content(said: Value): string {
  const value = text(said, "content");
  if (Buffer.byteLength(value) <= CONTENT_BYTES) return value;
  throw invalid(`content must be ${CONTENT_BYTES} bytes at most`, "too_large");
}

function number(said: Value, field: string): number {
  const value = said[field];
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw invalid(`${field} must be a number`);
}

function id(said: Value, field: string): number {
  return asId(said[field]);
}

function asId(value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw invalid("an id must be a whole number");
}

function nullable<T>(said: Value, field: string, read: (said: Value, field: string) => T): T | null {
  return said[field] === null || said[field] === undefined ? null : read(said, field);
}

function list(said: Value, field: string): readonly unknown[] {
  const value = said[field];
  if (Array.isArray(value)) return value;
  throw invalid(`${field} must be a list`);
}

function oneOf<const T extends string>(said: Value, field: string, values: readonly T[]): T {
  const value = values.find((known) => known === said[field]);
  if (value !== undefined) return value;
  throw invalid(`${field} must be ${values.join(" or ")}`);
}

const kinds = ["agents", "messages", "watermarks", "sessions", "commands", "signals"] as const;
type ImportedKind = (typeof kinds)[number];

export interface Imported {
  /** How many of each were stored, and how many of those that can be told apart were there already. */
  readonly stored: Readonly<Record<ImportedKind, number>>;
  readonly there: Readonly<Record<ImportedKind, number>>;
  /** What this bus has otherwise, and keeps: sentences. */
  readonly kept: readonly string[];
  /** The last line was there: nothing of the export is missing. */
  readonly complete: boolean;
  readonly channels: ReadonlySet<string>;
  readonly operators: number;
}

export interface Importer {
  /** Stores what a line says, unless it is there. */
  take(value: unknown): Promise<void>;
  readonly imported: Imported;
}

/**
 * Brings an export into a bus, empty or not. A message that is the same in all but its id is there already, so what was
 * broken off goes on where it was, and what is done twice changes nothing. One at a time: two would not see each other's.
 */
export async function createImporter(store: Store, now: () => number): Promise<Importer> {
  const { agents, messages, mailboxes, sessions: peers, commands: orders, signals } = store;
  const there = await messagesBefore(store);
  const places = createPlaces();
  const requests = new Map<number, RequestKey>();
  const channels = new Set<string>();
  const stored = zero();
  const known = zero();
  const kept: string[] = [];
  let begun = false;
  let complete = false;
  let operators = 0;

  const count = (kind: ImportedKind, isNew: boolean) => (isNew ? stored : known)[kind]++;

  const agent = async (one: Agent): Promise<void> => {
    const done = (await agents.add(one, "new")) === "done";
    if (done && one.role === "operator") operators++;
    if (!done && (await agents.find(one.name))?.publicKey.trim() !== one.publicKey.trim())
      kept.push(`${one.name} has another key on this bus, or its key was revoked here: that stays so`);
    count("agents", done);
  };

  const bar = async (revoked: Revoked): Promise<void> => {
    const { name, publicKey } = revoked;
    if (await agents.markRevoked(revoked)) return void stored.agents++;
    // It was imported before its key was revoked.
    const once = { signer: name, nonce: `revoked ${digestOf(publicKey)}`, digest: digestOf(publicKey), at: now() };
    count("agents", (await agents.revoke(name, publicKey, once)) === "done");
  };

  const message = async ({ id, ...sent }: StoredMessage): Promise<void> => {
    if (id <= places.last(sent.channel)) throw invalid("the messages of an export come in the order of their ids");
    const before = there.get(digestOf(sent))?.shift();
    places.put(sent.channel, id, before ?? (await append(sent, requests.get(id))));
    requests.delete(id);
    count("messages", before === undefined);
  };

  const append = async (message: NewMessage, once: RequestKey | undefined): Promise<number> => {
    const appended = await messages.append(message, once);
    channels.add(message.channel);
    // Under its nonce something else was done here.
    return appended.outcome === "clash" ? (await messages.append(message)).id : appended.id;
  };

  const watermark = async ({ channel, agent, lastId }: Watermark): Promise<void> => {
    const place = places.upTo(channel, lastId);
    if (place === undefined) return;
    const before = await messages.watermark(channel, agent);
    if (before >= place) return void known.watermarks++;
    // What was sent here alone isn't read because something behind it was, elsewhere.
    const passed = places.between(channel, before, place);
    if ((await messages.count(channel, before, place, passed + 1)) > passed) {
      kept.push(`${agent} has messages to read in ${channel} that are on this bus alone: its place there stays`);
      return;
    }
    await messages.advance(channel, agent, place);
    stored.watermarks++;
  };

  const mail = async ({ channel, ids }: ArrivedIds): Promise<void> => {
    const here = ids.flatMap((id) => places.at(channel, id) ?? []);
    if (here.length > 0) await mailboxes.settle(channel, channel.slice(1), here);
  };

  const peer = async (one: Session): Promise<void> => {
    const isNew = (await peers.find(one.id)) === undefined;
    if (isNew) await peers.connect(one, undefined);
    count("sessions", isNew);
  };

  const signal = async (one: Signal): Promise<void> => {
    const before = await signals.get(one.name);
    const isNew = before === undefined || before.setAt < one.setAt;
    if (isNew) await signals.set(one);
    count("signals", isNew);
  };

  return {
    async take(value) {
      const line = readLine(value);
      if (line === undefined) throw invalid("this is no line of an export");
      if ("export" in line && line.export.format !== EXPORT_FORMAT)
        throw invalid("this export was made by a newer el-ipc: update this one");
      if (!begun && !("export" in line)) throw invalid("an export begins otherwise: this isn't one");
      begun = true;
      complete = "complete" in line;
      if ("agent" in line) await agent(line.agent);
      else if ("revoked" in line) await bar(line.revoked);
      else if ("request" in line) requests.set(line.request.messageId, line.request);
      else if ("message" in line) await message(line.message);
      else if ("watermark" in line) await watermark(line.watermark);
      else if ("arrived" in line) await mail(line.arrived);
      else if ("peer" in line) await peer(line.peer);
      else if ("order" in line) count("commands", await orders.restore(line.order));
      else if ("signal" in line) await signal(line.signal);
    },
    get imported() {
      return { stored, there: known, kept, complete, channels, operators };
    },
  };
}

const PAGE = 1_000;

/** The messages that are there, each by what it is but for its id; those that are the same in their order. */
async function messagesBefore({ messages }: Store): Promise<Map<string, number[]>> {
  const found = new Map<string, number[]>();
  for (let from = 0; ; ) {
    const page = await messages.allAfter(from, PAGE);
    for (const { id, ...sent } of page) {
      const key = digestOf(sent);
      const ids = found.get(key);
      if (ids === undefined) found.set(key, [id]);
      else ids.push(id);
      from = id;
    }
    if (page.length === 0) return found;
  }
}

function digestOf(what: NewMessage | string): string {
  const text =
    typeof what === "string"
      ? what
      : JSON.stringify([
          what.channel,
          what.sender,
          what.content,
          what.timestamp,
          what.signature,
          what.attested === true,
        ]);
  return nodeCrypto().createHash("sha256").update(text).digest("base64url").slice(0, 27);
}

/** Where the messages of an export are on this bus, by channel; they come in the order of their ids. */
function createPlaces() {
  const channels = new Map<string, { readonly theirs: number[]; readonly ours: number[] }>();

  const indexOf = (theirs: readonly number[], id: number): number => {
    let [from, to] = [0, theirs.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((theirs[middle] ?? 0) <= id) from = middle + 1;
      else to = middle;
    }
    return from - 1;
  };

  return {
    last: (channel: string): number => channels.get(channel)?.theirs.at(-1) ?? 0,
    put(channel: string, id: number, here: number): void {
      const places = channels.get(channel) ?? { theirs: [], ours: [] };
      channels.set(channel, places);
      places.theirs.push(id);
      places.ours.push(here);
    },
    at(channel: string, id: number): number | undefined {
      const places = channels.get(channel);
      const index = places === undefined ? -1 : indexOf(places.theirs, id);
      return places?.theirs[index] === id ? places.ours[index] : undefined;
    },
    /** How many of them are here after one id and up to another. */
    between(channel: string, after: number, upTo: number): number {
      return channels.get(channel)?.ours.filter((id) => id > after && id <= upTo).length ?? 0;
    },
    /** Of the last message of the channel up to this one. */
    upTo(channel: string, id: number): number | undefined {
      const places = channels.get(channel);
      return places?.ours[indexOf(places.theirs, id)];
    },
  };
}

function zero(): Record<ImportedKind, number> {
  return { agents: 0, messages: 0, watermarks: 0, sessions: 0, commands: 0, signals: 0 };
}
