import { invalid } from "./errors.ts";
import { isJsonObject, type JsonObject } from "./json.ts";
import { nodeCrypto } from "./keys.ts";
import { createParser, type RecordKind, shapes } from "./records.ts";
import type {
  Agent,
  Archive,
  Archived,
  ArrivedIds,
  DoneRequest,
  NewMessage,
  Records,
  RequestKey,
  Revoked,
  Session,
  Signal,
  Store,
  StoredMessage,
  Watermark,
} from "./store.ts";

/** One line of an export: a value under a word that names its kind. */
export type Exported = JsonObject;

const EXPORT_FORMAT = 1;

type ExportedKind = Exclude<RecordKind, "journal">;

/** The word for each kind of record, in export order: agents and requests come before messages, which name them. */
const words: { readonly [Kind in ExportedKind]: string } = {
  agents: "agent",
  revoked: "revoked",
  nonces: "request",
  messages: "message",
  watermarks: "watermark",
  arrived: "arrived",
  peers: "peer",
  orders: "order",
  signals: "signal",
};

const exportedKinds: readonly ExportedKind[] = Object.keys(words).filter(isExportedKind);

function isExportedKind(kind: string): kind is ExportedKind {
  return Object.hasOwn(words, kind);
}

export interface ExportOptions {
  /** The last message of the export that this one continues. */
  readonly after: number;
  readonly now: number;
  /** Called every thousand messages. */
  readonly progress?: (progress: { readonly done: number; readonly of: number }) => void;
}

export async function* exportBus(store: Store, { after, now, progress }: ExportOptions): AsyncGenerator<Exported> {
  const archive = await store.archive(after);
  const last = await store.messages.lastId();
  let messages = 0;
  const countMessage = ({ id }: StoredMessage): void => {
    if (++messages % 1_000 === 0) progress?.({ done: id - after, of: Math.max(last, id) - after });
  };
  const records: Archive = {
    ...archive,
    agents: operatorsFirst(archive.agents),
    nonces: requestsAfter(archive.nonces, after),
    messages: notifyAfterEach(archive.messages, countMessage),
  };
  yield { export: { format: EXPORT_FORMAT, at: now, after, last } };
  for (const kind of exportedKinds) {
    for await (const record of records[kind]) yield { [words[kind]]: record };
  }
  yield { complete: { messages } };
}

/** Agents name the operators who registered them. */
async function* operatorsFirst(agents: Archived<Agent>): AsyncGenerator<Agent> {
  const all = await Array.fromAsync(agents);
  yield* all.filter(({ role }) => role === "operator");
  yield* all.filter(({ role }) => role !== "operator");
}

async function* requestsAfter(requests: Archived<DoneRequest>, messageId: number): AsyncGenerator<DoneRequest> {
  for await (const request of requests) if (request.messageId > messageId) yield request;
}

async function* notifyAfterEach(messages: Archived<StoredMessage>, notify: (message: StoredMessage) => void) {
  for await (const message of messages) {
    yield message;
    notify(message);
  }
}

type RecordLine<Kind extends ExportedKind = ExportedKind> = {
  readonly [K in Kind]: { readonly kind: K; readonly record: Records[K] };
}[Kind];

export type Line = RecordLine | { readonly kind: "export"; readonly format: number } | { readonly kind: "complete" };

const readFormat = createParser({ format: shapes.messages.timestamp });

/** Undefined for anything but a line of an export. Throws for a line with an impossible record. */
export function readLine(value: unknown): Line | undefined {
  if (!isJsonObject(value)) return undefined;
  const [word, ...more] = Object.keys(value);
  const record = word === undefined ? undefined : value[word];
  if (word === undefined || more.length > 0 || !isJsonObject(record)) return undefined;
  return readers.get(word)?.(record);
}

const readers = new Map<string, (record: JsonObject) => Line>([
  ["export", (record) => ({ kind: "export", ...readFormat(record) })],
  ...exportedKinds.map((kind) => [words[kind], readerOf(kind)] as const),
  ["complete", () => ({ kind: "complete" })],
]);

function readerOf<Kind extends ExportedKind>(kind: Kind): (record: JsonObject) => RecordLine<Kind> {
  const parse = createParser<Records[Kind]>(shapes[kind]);
  return (record) => ({ kind, record: parse(record) });
}

export interface Imported {
  readonly stored: Readonly<Counts>;
  readonly there: Readonly<Counts>;
  /** Sentences about differences that this bus keeps. */
  readonly kept: readonly string[];
  readonly complete: boolean;
  readonly channels: ReadonlySet<string>;
  readonly operators: number;
}

type Counts = ReturnType<typeof zeroCounts>;

function zeroCounts() {
  return { agents: 0, messages: 0, watermarks: 0, sessions: 0, commands: 0, signals: 0 };
}

export interface Importer {
  /** Stores a line's record, unless it is there already. */
  take(value: unknown): Promise<void>;
  readonly imported: Imported;
}

/**
 * Imports into a bus, empty or not. A message that differs in its id alone is there already, so an interrupted import can
 * be repeated. Only one may run at a time: two would not see each other's messages.
 */
export async function createImporter(store: Store, now: () => number): Promise<Importer> {
  const state: ImportState = {
    store,
    now,
    known: await findKnownMessages(store),
    ids: createIdMap(),
    requests: new Map(),
    stored: zeroCounts(),
    there: zeroCounts(),
    kept: [],
    channels: new Set(),
    operators: 0,
  };
  let begun = false;
  let complete = false;

  return {
    async take(value) {
      const line = readLine(value);
      if (line === undefined) throw invalid("this is not a line of an export");
      if (line.kind === "export" && line.format !== EXPORT_FORMAT)
        throw invalid("this export was made by a newer el-ipc: update this one");
      if (!begun && line.kind !== "export") throw invalid("this is not an export: its first line is missing");
      begun = true;
      complete = line.kind === "complete";
      if (line.kind !== "export" && line.kind !== "complete") await importRecord(state, line);
    },
    get imported() {
      const { stored, there, kept, channels, operators } = state;
      return { stored, there, kept, complete, channels, operators };
    },
  };
}

interface ImportState {
  readonly store: Store;
  readonly now: () => number;
  /** The ids of messages that were there before, by digest, oldest first. */
  readonly known: ReadonlyMap<string, number[]>;
  /** Where the export's messages are on this bus. */
  readonly ids: ReturnType<typeof createIdMap>;
  /** The requests of messages that are still to come, by the message's id. */
  readonly requests: Map<number, RequestKey>;
  readonly stored: Counts;
  readonly there: Counts;
  readonly kept: string[];
  readonly channels: Set<string>;
  operators: number;
}

type ImportOf<Kind extends ExportedKind> = (state: ImportState, record: Records[Kind]) => Promise<void>;

const imports: { readonly [Kind in ExportedKind]: ImportOf<Kind> } = {
  agents: importAgent,
  revoked: importRevoked,
  nonces: async ({ requests }, request) => void requests.set(request.messageId, request),
  messages: importMessage,
  watermarks: importWatermark,
  arrived: importArrived,
  peers: importSession,
  orders: async (state, command) => count(state, "commands", await state.store.commands.restore(command)),
  signals: importSignal,
};

function importRecord<Kind extends ExportedKind>(state: ImportState, line: RecordLine<Kind>): Promise<void> {
  const store: ImportOf<Kind> = imports[line.kind];
  return store(state, line.record);
}

function count({ stored, there }: ImportState, what: keyof Counts, isNew: boolean): void {
  if (isNew) stored[what]++;
  else there[what]++;
}

async function importAgent(state: ImportState, agent: Agent): Promise<void> {
  const { agents } = state.store;
  const isNew = (await agents.add(agent, "new")) === "done";
  if (isNew && agent.role === "operator") state.operators++;
  if (!isNew && (await agents.find(agent.name))?.publicKey.trim() !== agent.publicKey.trim())
    state.kept.push(`${agent.name} has another key on this bus, or its key was revoked here: it was not imported`);
  count(state, "agents", isNew);
}

async function importRevoked(state: ImportState, revoked: Revoked): Promise<void> {
  const { name, publicKey } = revoked;
  const { agents } = state.store;
  if (await agents.markRevoked(revoked)) return void state.stored.agents++;
  // The agent may have been imported before its key was revoked.
  const digest = digestOf(publicKey);
  const key = { signer: name, nonce: `revoked ${digest}`, digest, at: state.now() };
  count(state, "agents", (await agents.revoke(name, publicKey, key)) === "done");
}

async function importMessage(state: ImportState, { id, ...message }: StoredMessage): Promise<void> {
  const { ids, known, requests } = state;
  if (id <= ids.last(message.channel)) throw invalid("the messages of an export come in the order of their ids");
  const before = known.get(messageDigest(message))?.shift();
  ids.add(message.channel, id, before ?? (await appendMessage(state, message, requests.get(id))));
  requests.delete(id);
  count(state, "messages", before === undefined);
}

async function appendMessage(
  { store: { messages }, channels }: ImportState,
  message: NewMessage,
  key: RequestKey | undefined,
): Promise<number> {
  const { outcome, id } = await messages.append(message, key);
  channels.add(message.channel);
  // After a clash the message goes without its key: this bus has used the nonce for another request.
  return outcome === "clash" ? (await messages.append(message)).id : id;
}

async function importWatermark(state: ImportState, { channel, agent, lastId }: Watermark): Promise<void> {
  const { messages } = state.store;
  const to = state.ids.upTo(channel, lastId);
  if (to === undefined) return;
  const from = await messages.watermark(channel, agent);
  if (from >= to) return void state.there.watermarks++;
  // A message on this bus alone is unread, although the agent has read later ones elsewhere.
  const imported = state.ids.countBetween(channel, from, to);
  if ((await messages.count(channel, from, to, imported + 1)) > imported) {
    state.kept.push(
      `${agent} has messages to read in ${channel} that are on this bus alone: its watermark there was not imported`,
    );
    return;
  }
  await messages.advance(channel, agent, to);
  state.stored.watermarks++;
}

async function importArrived({ store, ids: map }: ImportState, { channel, ids }: ArrivedIds): Promise<void> {
  const here = ids.flatMap((id) => map.find(channel, id) ?? []);
  if (here.length > 0) await store.mailboxes.settle(channel, channel.slice(1), here);
}

async function importSession(state: ImportState, session: Session): Promise<void> {
  const { sessions } = state.store;
  const isNew = (await sessions.find(session.id)) === undefined;
  if (isNew) await sessions.connect(session, undefined);
  count(state, "sessions", isNew);
}

async function importSignal(state: ImportState, signal: Signal): Promise<void> {
  const { signals } = state.store;
  const before = await signals.get(signal.name);
  const isNew = before === undefined || before.setAt < signal.setAt;
  if (isNew) await signals.set(signal);
  count(state, "signals", isNew);
}

const PAGE = 1_000;

/** The ids of the stored messages by digest, each oldest first. */
async function findKnownMessages({ messages }: Store): Promise<Map<string, number[]>> {
  const found = new Map<string, number[]>();
  for (let from = 0; ; ) {
    const page = await messages.allAfter(from, PAGE);
    for (const { id, ...message } of page) {
      const digest = messageDigest(message);
      const ids = found.get(digest) ?? [];
      ids.push(id);
      found.set(digest, ids);
      from = id;
    }
    if (page.length === 0) return found;
  }
}

function messageDigest({ channel, sender, content, timestamp, signature, attested }: NewMessage): string {
  return digestOf(JSON.stringify([channel, sender, content, timestamp, signature, attested === true]));
}

function digestOf(text: string): string {
  return nodeCrypto().createHash("sha256").update(text).digest("base64url").slice(0, 27);
}

/** Maps the ids of an export to those on this bus, channel by channel. */
function createIdMap() {
  const channels = new Map<string, { readonly exported: number[]; readonly here: number[] }>();

  /** The position of the last id up to this one, by binary search. */
  const positionOf = (ids: readonly number[], id: number): number => {
    let [from, to] = [0, ids.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((ids[middle] ?? 0) <= id) from = middle + 1;
      else to = middle;
    }
    return from - 1;
  };

  return {
    /** Adds a message, which comes after all others of its channel. */
    add(channel: string, exported: number, here: number): void {
      const ids = channels.get(channel) ?? { exported: [], here: [] };
      channels.set(channel, ids);
      ids.exported.push(exported);
      ids.here.push(here);
    },
    /** The exported id of the channel's last message, or 0. */
    last: (channel: string) => channels.get(channel)?.exported.at(-1) ?? 0,
    find(channel: string, exported: number): number | undefined {
      const ids = channels.get(channel);
      const position = ids === undefined ? -1 : positionOf(ids.exported, exported);
      return ids?.exported[position] === exported ? ids.here[position] : undefined;
    },
    /** The id on this bus of the channel's last message up to an exported id. */
    upTo(channel: string, exported: number): number | undefined {
      const ids = channels.get(channel);
      return ids?.here[positionOf(ids.exported, exported)];
    },
    /** The number of exported messages after one id on this bus and up to another. */
    countBetween: (channel: string, after: number, upTo: number) =>
      channels.get(channel)?.here.filter((id) => id > after && id <= upTo).length ?? 0,
  };
}
