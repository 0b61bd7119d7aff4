import assert from "node:assert/strict";
import type { MessageStore, NewMessage } from "../../src/core/store.ts";

/** Appends a message that carries no nonce, and so is always a new one; answers with its id. */
export async function append(messages: MessageStore, message: NewMessage): Promise<number> {
  const { outcome, id } = await messages.append(message);
  assert.equal(outcome, "done");
  return id;
}
