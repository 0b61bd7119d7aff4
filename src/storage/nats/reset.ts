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
function clear(draft: Draft, { placed, entry }: Snapshot): readonly string[] {
  const { orders, signals } = draft.state;
  const [hadOrders, hadSignals] = [[...orders.values()], [...signals.values()]];
  draft.put({ of: "journal", what: "reset", placed, entry });
  const goneOrders = hadOrders.filter(({ id }) => !orders.has(id));
  const goneSignals = hadSignals.filter(({ name }) => !signals.has(name));
  return [...unusedOf(goneOrders, draft.state), ...goneSignals.flatMap(({ data }) => namesIn(data))];
}
