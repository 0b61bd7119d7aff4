import { suite, test } from "node:test";
import type { Store } from "../../src/core/store.ts";
import { checkAgents } from "./agents.ts";
import { checkArchive } from "./archive.ts";
import { checkChanges } from "./changes.ts";
import { checkConnections } from "./connections.ts";
import { checkEntering } from "./entering.ts";
import { checkJournal } from "./journal.ts";
import { checkLookups } from "./lookups.ts";
import { checkMailboxes } from "./mailboxes.ts";
import { checkChannels, checkMessages, checkReading } from "./messages.ts";
import { checkOnce } from "./once.ts";
import { checkOrderEnds } from "./order-ends.ts";
import { checkOrders } from "./orders.ts";
import { checkOverview } from "./overview.ts";
import { checkPeers } from "./peers.ts";
import type { Place } from "./place.ts";
import { checkPruning } from "./pruning.ts";
import { checkReset } from "./reset.ts";
import { checkSignals } from "./signals.ts";
import { checkWatermarks } from "./watermarks.ts";

/** The promises of every engine: those of src/core/store.ts, beyond its signatures. */
export function storeContract(engine: string, makePlace: () => Promise<Place>): void {
  suite(`a store kept by ${engine}`, { concurrency: 4 }, () => {
    const check = (sentence: string, body: (store: Store, place: Place) => Promise<void>) =>
      test(sentence, async () => {
        await using place = await makePlace();
        await using store = await place.open();
        await body(store, place);
      });

    checkMessages(check);
    checkReading(check);
    checkWatermarks(check);
    checkChannels(check);
    checkConnections(check);
    checkChanges(check);
    checkAgents(check);
    checkEntering(check);
    checkOnce(check);
    checkLookups(check);
    checkOverview(check);
    checkPruning(check);
    checkReset(check);
    checkMailboxes(check);
    checkPeers(check);
    checkOrders(check);
    checkOrderEnds(check);
    checkSignals(check);
    checkJournal(check);
    checkArchive(check);
  });
}
