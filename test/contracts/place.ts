import assert from "node:assert/strict";
import type { NewMessage, Store } from "../../src/core/store.ts";
import { append } from "../support/store.ts";

/** Where an engine keeps one new and empty store. */
export interface Place extends AsyncDisposable {
  /** Opens it; each time anew, as another process would. */
  open(): Promise<Store>;
  /** Opens what a reset has copied. */
  openBackup(backup: string): Promise<Store>;
}

/** A promise, and a body that holds a new and empty store to it. */
export type Check = (sentence: string, body: (store: Store, place: Place) => Promise<void>) => void;

/** Names that somebody may give a channel or an agent, all different. */
export const hostileNames = [
  "'; DROP TABLE messages; --",
  '"quoted"',
  "../../etc/passwd",
  "a/b",
  ".",
  "%s%n%00",
  "*",
  ">",
  "a.b.*",
  "$SYS.x",
  "__proto__",
  "constructor",
  "null",
  "0",
  "Builds",
  "builds",
  "builds ",
  "caf\u00e9",
  "cafe\u0301",
  "\u202eevil",
  "🦜🦜",
  "@herald",
  "x".repeat(200),
  "ü".repeat(200),
];

export function message(channel: string, sender: string, content: string, timestamp = 1_795_200_000.25): NewMessage {
  return { channel, sender, content, timestamp, signature: "" };
}

/** Sends these contents, one after the other, and answers with their ids. */
export async function fill(store: Store, channel: string, sender: string, ...contents: string[]): Promise<number[]> {
  const ids: number[] = [];
  for (const content of contents) ids.push(await append(store.messages, message(channel, sender, content)));
  return ids;
}

export const all = { limit: 1_000, others: false };

export async function contents(found: Promise<readonly { content: string }[]>): Promise<string[]> {
  return (await found).map(({ content }) => content);
}

export function assertGrowing(ids: readonly number[]): void {
  for (const [index, id] of ids.entries()) {
    assert.ok(Number.isSafeInteger(id) && id > (ids[index - 1] ?? 0), `ids don't grow: ${ids.join(" ")}`);
  }
}
