import type { Once } from "../../core/store.ts";
import { type Fields, numberIn, textIn } from "./fields.ts";
import { type Found, getRecord, putRecord } from "./records.ts";
import type { Streams } from "./streams.ts";

const KEPT_SECONDS = 3_600;

/** That a request is being done, or was. Its steps are found again by `id`, whoever does them. */
export interface Claim {
  readonly id: string;
  readonly subject: string;
  readonly seq: number;
  readonly value: Fields;
  /** What was answered, once it is done. */
  readonly result: number | undefined;
}

export interface Nonces {
  /** Notes the request before anything is done; finds what became of it where it was noted before. */
  claim(once: Once): Promise<Claim | "clash">;
  settle(claim: Claim, result: number): Promise<void>;
  /** It was refused: its nonce wasn't used. */
  forget(claim: Claim): Promise<void>;
}

export function createNonces(streams: Streams): Nonces {
  const { names } = streams;
  return {
    async claim({ signer, nonce, digest, at }) {
      const subject = names.nonce(signer, nonce);
      // Most nonces are new, and then nothing has to be looked up.
      for (let found: Found = { seq: 0, value: undefined }; ; found = await getRecord(streams, "nonces", subject)) {
        const known = found.value;
        if (known !== undefined && known.gone !== true && numberIn(known, "at") >= at - KEPT_SECONDS) {
          if (textIn(known, "digest") !== digest) return "clash";
          const result = typeof known.result === "number" ? known.result : undefined;
          return { id: textIn(known, "id"), subject, seq: found.seq, value: known, result };
        }
        const value = { signer, nonce, digest, at, id: `${subject} ${found.seq}` };
        const seq = await putRecord(streams, "nonces", subject, value, found);
        if (seq !== "conflict") return { id: value.id, subject, seq, value, result: undefined };
      }
    },

    // A conflict is somebody else's same answer.
    settle: async ({ subject, value, ...claim }, result) =>
      void (await putRecord(streams, "nonces", subject, { ...value, result }, claim)),

    forget: async ({ subject, value, ...claim }) =>
      void (await putRecord(streams, "nonces", subject, { ...value, gone: true }, claim)),
  };
}
