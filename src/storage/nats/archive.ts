import type { JsonObject } from "../../core/json.ts";
import { archiveOf, createReader, type RecordKind, shapes } from "../../core/records.ts";
import type { AgentStore, Archive, Journal, Records, ResetResult, WriteArchive } from "../../core/store.ts";
import { loadCommand, unusedPayloads } from "./commands.ts";
import type { Transaction } from "./log.ts";
import { messagesBetween } from "./messages.ts";
import type { Context } from "./outbox.ts";
import { namesIn } from "./payloads.ts";
import { fieldsOf, parseJson, readLeases, readName, readNonce, textIn } from "./records.ts";
import { scanLast } from "./scan.ts";
import { loadSignal } from "./signals.ts";
import type { Snapshot } from "./state.ts";
import type { Streams } from "./streams.ts";

export interface ArchiveContext extends Context {
  readonly streams: Streams;
  readonly agents: AgentStore;
  readonly journal: Journal;
}

/** Reads the whole bus as it is now, with the messages after an id. */
export async function archiveBus(context: ArchiveContext, after: number): Promise<Archive> {
  const snapshot = await context.log.step(({ state }) => state.snapshot());
  return archiveSnapshot(context, snapshot, after, await context.streams.lastSeq("messages"));
}

const MAX_ENTRIES = 10_000;

/** The messages after one id and up to another, with the sessions of a snapshot. */
async function archiveSnapshot(
  context: ArchiveContext,
  snapshot: Snapshot,
  after: number,
  upTo: number,
): Promise<Archive> {
  const { streams, payloads, agents, journal } = context;
  const first = Math.max(snapshot.forgotten, snapshot.entry - MAX_ENTRIES);
  return {
    ...archiveOf((kind) => recordsOf(streams, kind)),
    messages: messagesBetween(streams, streams.names.everyMessage, after, upTo),
    agents: await agents.list(),
    revoked: await Array.fromAsync(recordsOf(streams, "revoked")),
    peers: snapshot.peers.map(({ since: _, ...session }) => session),
    orders: mapEach(
      snapshot.orders.toSorted((a, b) => a.seq - b.seq),
      (record) => loadCommand(context, record),
    ),
    signals: mapEach(snapshot.signals, async (record) => {
      const { name, sender, setAt } = record;
      return (await loadSignal(payloads, record)) ?? { name, sender, setAt, data: null };
    }),
    journal: ((await journal.after(first, MAX_ENTRIES)) ?? []).filter(({ seq }) => seq <= snapshot.entry),
  };
}

async function* mapEach<T, U>(records: readonly T[], map: (record: T) => Promise<U>): AsyncGenerator<U> {
  for (const record of records) yield await map(record);
}

/** Turn a stored record into an archive's; undefined where it has none. Kinds without an entry are stored as archived. */
const readers: { readonly [Kind in RecordKind]?: (value: JsonObject) => Records[Kind] | undefined } = {
  revoked: (value) => readName(value).revoked,
  arrived: (value) => {
    const { arrived } = readLeases(value);
    return arrived.size > 0 ? { channel: textIn(value, "channel"), ids: [...arrived] } : undefined;
  },
  nonces: (value) => {
    const { signer, nonce, digest, at, result, gone } = readNonce(value);
    return gone || result === undefined ? undefined : { signer, nonce, digest, at, messageId: result };
  },
};

/** Reads records that are stored one by one, as JSON. */
async function* recordsOf<Kind extends RecordKind>(streams: Streams, kind: Kind): AsyncGenerator<Records[Kind]> {
  const { names } = streams;
  const read: (value: JsonObject) => Records[Kind] | undefined =
    readers[kind] ?? createReader<Records[Kind]>(shapes[kind]);
  for await (const { data } of scanLast(streams, names.streamOf(kind), names.everyRecord(kind))) {
    const record = read(fieldsOf(parseJson(data)));
    if (record !== undefined) yield record;
  }
}

/** One step clears the sessions and puts the removal of the messages into the outbox, so both happen. */
export function createReset(
  context: ArchiveContext,
  archive: WriteArchive,
): (keptChannel: string) => Promise<ResetResult> {
  const { streams, log, payloads, outbox } = context;
  return async (keptChannel) => {
    const snapshot = await log.step(({ state }) => state.snapshot());
    const upTo = await streams.lastSeq("messages");
    const backup = await archive(await archiveSnapshot(context, snapshot, 0, upTo));
    const { work, unused } = await log.step((transaction) => ({
      work: outbox.add(transaction, { purge: { upTo, keptChannel } }),
      unused: clear(transaction, snapshot),
    }));
    const removed = await outbox.run(work);
    log.inBackground(payloads.drop(unused));
    return { backup, removed };
  };
}

/** Removes the snapshot's records; later ones stay. Returns the payloads that nothing needs any more. */
function clear({ state, put }: Transaction, { placed, entry }: Snapshot): readonly string[] {
  const [commands, signals] = [[...state.commands.values()], [...state.signals.values()]];
  put({ of: "journal", what: "reset", placed, entry });
  const goneCommands = commands.filter(({ id }) => !state.commands.has(id));
  const goneSignals = signals.filter(({ name }) => !state.signals.has(name));
  return [...unusedPayloads(goneCommands, state), ...goneSignals.flatMap(({ data }) => namesIn(data))];
}
