import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { Store } from "../../src/core/store.ts";
import { readAddress } from "../../src/storage/nats/address.ts";
import { type Connection, connectNats } from "../../src/storage/nats/connection.ts";
import { openNatsStore } from "../../src/storage/nats/open.ts";
import { fill } from "../contracts/place.ts";
import { type NatsServer, natsVersion, needsNats, startNats } from "../support/nats-server.ts";

interface Opened extends AsyncDisposable {
  readonly store: Store;
  readonly connection: Connection;
  readonly bus: string;
}

async function open(address: string): Promise<Opened> {
  const where = readAddress(address);
  const connection = await connectNats(where);
  const archive = async () => assert.fail("nobody resets here");
  const store = openNatsStore(connection, { bus: where.bus, replicas: 1, archive });
  return { store, connection, bus: where.bus, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}

/** Something that happens once, between what a server is first told of such a subject and when it hears of it. */
function beforeFirst({ nats }: Connection, subject: RegExp, happens: () => Promise<unknown>): void {
  const publish = nats.publish.bind(nats);
  let first = true;
  nats.publish = (to, ...rest) => {
    if (!first || !subject.test(to)) return publish(to, ...rest);
    first = false;
    void happens().then(() => publish(to, ...rest));
  };
}

suite("lists of a bus on NATS", needsNats, () => {
  let server: NatsServer;
  before(async () => {
    if (natsVersion !== undefined) server = await startNats();
  });
  after(() => server?.[Symbol.asyncDispose]());

  test("readers that move while all are listed are each listed, once", async () => {
    const address = server.freshBus();
    await using one = await open(address);
    await using other = await open(address);
    const ids = await fill(one.store, "c", "me", "1", "2");
    const [first = 0, second = 0] = ids;
    // More than come in one batch, so that some are to be told still when others were.
    const agents = Array.from({ length: 501 }, (_, n) => `agent ${String(n).padStart(3, "0")}`);
    for (const agent of agents) await one.store.messages.advance("c", agent, first);
    let batches = 0;
    const between = async () => {
      // One that was told, and then one that wasn't.
      await other.store.messages.advance("c", agents[0] ?? "", second);
      await other.store.messages.advance("c", agents.at(-1) ?? "", second);
      batches++;
    };
    beforeFirst(one.connection, /CONSUMER\.MSG\.NEXT/, async () =>
      beforeFirst(one.connection, /CONSUMER\.MSG\.NEXT/, between),
    );
    const readers = await one.store.messages.readers("c");
    assert.equal(batches, 1);
    assert.deepEqual(
      readers.map(({ agent }) => agent),
      agents,
    );
  });
});
