import type {
  AgentStore,
  Archive,
  ArrivedIds,
  Command,
  Journal,
  RequestKey,
  ResetResult,
  Revoked,
  Signal,
  Watermark,
  WriteArchive,
} from "../../core/store.ts";
import { asEntered } from "./agents.ts";
import { asOrder, unusedOf } from "./commands.ts";
import { fieldsOf, jsonOf, numberIn, textIn } from "./fields.ts";
import type { Draft } from "./log.ts";
import { messagesAfter } from "./message-stream.ts";
import type { Sessions } from "./outbox.ts";
import { namesIn } from "./payloads.ts";
import { asWatermark, takenIn } from "./readers.ts";
import { scan } from "./scan.ts";
import { asSignal } from "./signals.ts";
import type { OrderRecord, SignalRecord, Snapshot } from "./state.ts";
import type { Streams } from "./streams.ts";

export interface Archiving extends Sessions {
  readonly streams: Streams;
  readonly agents: AgentStore;
  readonly journal: Journal;
}

/** All that is there now. */
export async function archiveNow(archiving: Archiving, after: number): Promise<Archive> {
  const now = await archiving.log.step(({ state }) => state.snapshot());
  return archiveOf(archiving, now, after, await archiving.streams.lastSeq("messages"));
}

/** What a snapshot of the sessions holds, and the messages after an id and up to another. */
export async function archiveOf(archiving: Archiving, before: Snapshot, after: number, upTo: number): Promise<Archive> {
  const { streams, bodies, agents, journal } = archiving;
  // All entries that are known: a number far enough back, and one that is there.
  const first = Math.max(before.forgotten, before.entry - 10_000);
  return {
    messages: messagesBetween(streams, after, upTo),
    watermarks: watermarksOf(streams),
    arrived: arrivedOf(streams),
    nonces: noncesOf(streams),
    agents: await agents.list(),
    revoked: await revokedOf(streams),
    peers: before.peers.map(({ since: _, ...peer }) => peer),
    orders: eachOf(
      before.orders.toSorted((a, b) => a.seq - b.seq),
      (order: OrderRecord): Promise<Command> => asOrder(bodies, order),
    ),
    signals: eachOf(before.signals, async (record: SignalRecord): Promise<Signal> => {
      const { name, sender, setAt } = record;
      return (await asSignal(bodies, record)) ?? { name, sender, setAt, data: null };
    }),
    journal: ((await journal.after(first, 10_000)) ?? []).filter(({ seq }) => seq <= before.entry),
  };
}

async function* eachOf<T, U>(records: readonly T[], full: (record: T) => Promise<U>): AsyncGenerator<U> {
  for (const record of records) yield await full(record);
}

async function* messagesBetween(streams: Streams, after: number, upTo: number) {
  for await (const message of messagesAfter(streams, streams.names.everyMessage, after)) {
    if (message.id > upTo) return;
    yield message;
  }
}

async function* watermarksOf(streams: Streams): AsyncGenerator<Watermark> {
  const range = { subject: streams.names.everyWatermark, from: 1, lastOnly: true };
  for await (const { data } of scan(streams, "readers", range)) {
    yield asWatermark(data);
  }
}

async function* arrivedOf(streams: Streams): AsyncGenerator<ArrivedIds> {
  const range = { subject: streams.names.everyMailbox, from: 1, lastOnly: true };
  for await (const { data } of scan(streams, "readers", range)) {
    const value = fieldsOf(jsonOf(data));
    const { settled } = takenIn(value);
    if (settled.size > 0) yield { channel: textIn(value, "channel"), ids: [...settled] };
  }
}

async function* noncesOf(streams: Streams): AsyncGenerator<RequestKey & { messageId: number }> {
  for await (const { data } of scan(streams, "nonces", {
    subject: streams.names.everyNonce,
    from: 1,
    lastOnly: true,
  })) {
    const value = fieldsOf(jsonOf(data));
    if (value.gone === true || typeof value.result !== "number") continue;
    const [signer, nonce, digest] = [textIn(value, "signer"), textIn(value, "nonce"), textIn(value, "digest")];
    yield { signer, nonce, digest, at: numberIn(value, "at"), messageId: value.result };
  }
}

async function revokedOf(streams: Streams): Promise<readonly Revoked[]> {
  const revoked: Revoked[] = [];
  const range = { subject: streams.names.agents("agent"), from: 1, lastOnly: true };
  for await (const { data } of scan(streams, "agents", range)) {
    const { revoked: one } = asEntered(jsonOf(data));
    if (one !== undefined) revoked.push(one);
  }
  return revoked;
}

export interface Resetting extends Archiving {
  readonly archive: WriteArchive;
}

/** One step on the sessions, with the removal of the messages as what follows from it, so that both happen. */
export function createReset(resetting: Resetting): (keptChannel: string) => Promise<ResetResult> {
  const { streams, log, bodies, errands, archive } = resetting;
  return async (keptChannel) => {
    const before = await log.step(({ state }) => state.snapshot());
    const upTo = await streams.lastSeq("messages");
    const backup = await archive(await archiveOf(resetting, before, 0, upTo));
    const { errand, unused } = await log.step((draft) => ({
      errand: errands.note(draft, { purge: { upTo, keptChannel } }),
      unused: clear(draft, before),
    }));
    const removed = await errands.run(errand);
    log.meanwhile(bodies.drop(unused));
    return { backup, removed };
  };
}

/** Only what the backup holds: what came meanwhile stays. Answers with the bodies that nothing needs any more. */
function clear(draft: Draft, { placed, entry }: Snapshot): readonly string[] {
  const { orders, signals } = draft.state;
  const [hadOrders, hadSignals] = [[...orders.values()], [...signals.values()]];
  draft.put({ of: "journal", what: "reset", placed, entry });
  const goneOrders = hadOrders.filter(({ id }) => !orders.has(id));
  const goneSignals = hadSignals.filter(({ name }) => !signals.has(name));
  return [...unusedOf(goneOrders, draft.state), ...goneSignals.flatMap(({ data }) => namesIn(data))];
}
