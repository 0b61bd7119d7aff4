import type { Archive, WriteArchive } from "../../core/archive.ts";
import type { Journal, Order, Signal } from "../../core/session-store.ts";
import type { AgentStore, Once, Reset, Revoked, Watermark } from "../../core/store.ts";
import { asEntered } from "./agents.ts";
import { namesIn } from "./bodies.ts";
import type { Draft } from "./draft.ts";
import { fieldsOf, jsonOf, numberIn, textIn } from "./fields.ts";
import { messagesAfter } from "./messages.ts";
import { asOrder, type Sessions, unusedOf } from "./orders.ts";
import { scan } from "./scan.ts";
import { asSignal } from "./signals.ts";
import type { OrderRecord, SignalRecord, Snapshot } from "./state.ts";
import type { Streams } from "./streams.ts";
import { asWatermark } from "./watermarks.ts";

export interface Resetting extends Sessions {
  readonly streams: Streams;
  readonly agents: AgentStore;
  readonly journal: Journal;
  readonly archive: WriteArchive;
}

/** One step on the sessions, with the removal of the messages as what follows from it, so that both happen. */
export function createReset(resetting: Resetting): (keptChannel: string) => Promise<Reset> {
  const { streams, log, bodies, errands, archive } = resetting;
  return async (keptChannel) => {
    const before = await log.step(({ state }) => state.snapshot());
    const upTo = await streams.lastSeq("messages");
    const backup = await archive(await archiveOf(resetting, before, upTo));
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
function clear(draft: Draft, before: Snapshot): readonly string[] {
  const { state } = draft;
  const orders = [...state.orders.values()].filter(({ seq }) => seq <= before.placed);
  const peers = [...state.peers.values()].filter(({ since }) => since <= before.entry);
  const signals = [...state.signals.values()].filter(({ since }) => since <= before.entry);
  for (const { id } of orders) draft.put({ of: "order", key: id, to: null });
  for (const { id } of peers) draft.put({ of: "peer", key: id, to: null, what: "left" });
  for (const { name } of signals) draft.put({ of: "signal", key: name, to: null, what: "cleared" });
  draft.put({ of: "journal", what: "reset" });
  return [...unusedOf(orders, state), ...signals.flatMap(({ data }) => namesIn(data))];
}

async function archiveOf(resetting: Resetting, before: Snapshot, upTo: number): Promise<Archive> {
  const { streams, bodies, agents, journal } = resetting;
  // All entries that are known: a number far enough back, and one that is there.
  const first = Math.max(before.forgotten, before.entry - 10_000);
  return {
    messages: messagesUpTo(streams, upTo),
    watermarks: watermarksOf(streams),
    nonces: noncesOf(streams),
    agents: await agents.list(),
    revoked: await revokedOf(streams),
    peers: before.peers.map(({ since: _, ...peer }) => peer),
    orders: eachOf(
      before.orders.toSorted((a, b) => a.seq - b.seq),
      (order: OrderRecord): Promise<Order> => asOrder(bodies, order),
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

async function* messagesUpTo(streams: Streams, upTo: number) {
  for await (const message of messagesAfter(streams, streams.names.everyMessage, 0)) {
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

async function* noncesOf(streams: Streams): AsyncGenerator<Once & { messageId: number }> {
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
