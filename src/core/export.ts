import type { Archive } from "./archive.ts";
import type { Store } from "./store.ts";

/** What an export is made of: a value a line, each under a word that says what it is. */
export type Exported = Readonly<Record<string, unknown>>;

export const EXPORT_FORMAT = 1;

export interface Exporting {
  /** The last message that was exported before, where this goes on from there. */
  readonly after: number;
  readonly now: number;
  /** Called as messages are handed out. */
  readonly progress?: (progress: { readonly done: number; readonly of: number }) => void;
}

/**
 * All that the bus holds. Operators come before those whom they vouched for, requests before the messages that they made,
 * and messages before what says how far somebody has come among them.
 */
export async function* exportBus(store: Store, { after, now, progress }: Exporting): AsyncGenerator<Exported> {
  const [archive, last] = [await store.archive(after), await store.messages.lastId()];
  yield { export: { format: EXPORT_FORMAT, at: now, after, last } };
  const byRole = [...archive.agents].sort((a, b) => Number(b.role === "operator") - Number(a.role === "operator"));
  for (const agent of byRole) yield { agent };
  for (const revoked of archive.revoked) yield { revoked };
  for await (const request of archive.nonces) if (request.messageId > after) yield { request };
  let messages = 0;
  for await (const message of archive.messages) {
    yield { message };
    if (++messages % 1_000 === 0) progress?.({ done: message.id - after, of: Math.max(last, message.id) - after });
  }
  yield* rest(archive);
  yield { complete: { messages } };
}

async function* rest({ watermarks, arrived, peers, orders, signals }: Archive): AsyncGenerator<Exported> {
  for await (const watermark of watermarks) yield { watermark };
  for await (const mail of arrived) yield { arrived: mail };
  for (const peer of peers) yield { peer };
  for await (const order of orders) yield { order };
  for await (const signal of signals) yield { signal };
}
