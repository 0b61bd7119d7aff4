import assert from "node:assert/strict";
import type { Store } from "../../src/core/store.ts";
import { readAddress } from "../../src/storage/nats/address.ts";
import { type Connection, connectNats } from "../../src/storage/nats/connection.ts";
import { openNatsStore } from "../../src/storage/nats/open.ts";

export interface NatsBus extends AsyncDisposable {
  readonly store: Store;
  readonly connection: Connection;
  readonly bus: string;
}

/** The bus of an address, as one process has it. */
export async function openNatsBus(address: string): Promise<NatsBus> {
  const where = readAddress(address);
  const connection = await connectNats(where);
  const archive = async () => assert.fail("nobody resets here");
  const store = openNatsStore(connection, { bus: where.bus, replicas: 1, archive });
  return { store, connection, bus: where.bus, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}
