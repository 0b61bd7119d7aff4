import type { Reset, WriteArchive } from "../../core/archive.ts";
import { type Archiving, archiveOf } from "./archive.ts";
import { namesIn } from "./bodies.ts";
import type { Draft } from "./draft.ts";
import { unusedOf } from "./orders.ts";
import type { Snapshot } from "./state.ts";

export interface Resetting extends Archiving {
  readonly archive: WriteArchive;
}

/** One step on the sessions, with the removal of the messages as what follows from it, so that both happen. */
export function createReset(resetting: Resetting): (keptChannel: string) => Promise<Reset> {
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
