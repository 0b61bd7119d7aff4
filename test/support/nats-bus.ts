import assert from "node:assert/strict";
import type { Store } from "../../src/core/store.ts";
import { readAddress } from "../../src/storage/nats/address.ts";
import { type Connection, connectNats } from "../../src/storage/nats/connection.ts";
import { type NatsOptions, openNatsStore } from "../../src/storage/nats/open.ts";

export interface NatsBus extends AsyncDisposable {
  readonly store: Store;
  readonly connection: Connection;
  readonly bus: string;
}

const refuseReset = async () => assert.fail("this test makes no backup");
export const systemNow = () => Date.now() / 1_000;

/** Opens the bus of an address, as one process does. */
export async function openNatsBus(
  address: string,
  { replicas = 1, archive = refuseReset, now = systemNow }: Partial<Omit<NatsOptions, "bus">> = {},
): Promise<NatsBus> {
  const where = readAddress(address);
  const { bus } = where;
  const connection = await connectNats(where);
  const store = openNatsStore(connection, { bus, replicas, archive, now });
  return { store, connection, bus, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}
