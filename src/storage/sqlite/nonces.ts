import type { Once } from "../../core/store.ts";
import type { Connection } from "./connection.ts";
import { numberOf, row, textOf } from "./rows.ts";

const FIND = "SELECT digest, message_id FROM nonces WHERE signer = ? AND nonce = ?";

const ADD = "INSERT INTO nonces (signer, nonce, digest, message_id, seen_at) VALUES (?, ?, ?, ?, ?)";

/** A few at a time, with each that comes. */
const REMOVE_OLD = `DELETE FROM nonces WHERE (signer, nonce) IN
  (SELECT signer, nonce FROM nonces INDEXED BY nonces_by_age WHERE seen_at < ? LIMIT 4)`;

const KEPT_SECONDS = 3_600;

export interface Nonces {
  /** What became of a request: undefined where it is new, else its message's id or, under another digest, a clash. */
  seen(once: Once): { readonly id: number } | "clash" | undefined;
  add(once: Once, messageId: number): void;
}

/** Both are parts of a step that writes. */
export function createNonces({ statement }: Connection): Nonces {
  return {
    seen({ signer, nonce, digest }) {
      const found = row(statement(FIND).get(signer, nonce));
      if (found === undefined) return undefined;
      return textOf(found, "digest") === digest ? { id: numberOf(found, "message_id") } : "clash";
    },
    add({ signer, nonce, digest, at }, messageId) {
      statement(REMOVE_OLD).run(at - KEPT_SECONDS);
      statement(ADD).run(signer, nonce, digest, messageId, at);
    },
  };
}
