import type { Address, Link, Received, Within } from "../core/link.ts";
import { receiveAt, type Taken } from "./tcp-receiver.ts";
import { sendOver, timeARoundTrip } from "./tcp-sender.ts";

/** Point-to-point over TCP: a line of JSON each way. docs/wire.md says it for strangers. */
export function createTcpLink(): Link {
  const taken = new Map<number, Taken>();
  let receipts = 0;

  return {
    send: (address: Address, text: string, within: Within) => sendOver(address, text, within),
    ping: (address, within) => timeARoundTrip(address, within),
    async receive(address, within): Promise<Received | undefined> {
      const received = await receiveAt(address, within);
      if (received === undefined) return undefined;
      const receipt = ++receipts;
      taken.set(receipt, received);
      return { text: received.text, from: received.from, receipt };
    },
    async settle(receipt, arrived) {
      const received = taken.get(receipt);
      taken.delete(receipt);
      await received?.answer(arrived);
    },
  };
}
