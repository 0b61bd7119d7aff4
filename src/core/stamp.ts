import type { Bus } from "./bus.ts";
import { busDid } from "./card.ts";
import { invalid, unauthorized } from "./errors.ts";
import { cryptography } from "./keys.ts";
import { STAMP_TOLERANCE_SECONDS } from "./limits.ts";
import type { Stamp } from "./signature.ts";
import type { Once } from "./store.ts";

/** The fields that make a request v2, as it carries them. */
export interface StampFields {
  readonly v?: number | undefined;
  readonly aud?: string | undefined;
  readonly nonce?: string | undefined;
  readonly ts?: number | undefined;
}

/** A v2 request's stamp; undefined for v1, which has none. */
export function stampOf({ v, aud, nonce, ts }: StampFields): Stamp | undefined {
  if (v !== 2) return undefined;
  if (nonce === undefined || ts === undefined) throw invalid("a v2 request needs nonce and ts, and aud in secure mode");
  return { aud: aud ?? "", nonce, ts };
}

/** A stamp for a request that is about to be signed. */
export function createStamp(aud: string, milliseconds: number): Stamp {
  return { aud, nonce: cryptography().randomBytes(16).toString("base64url"), ts: milliseconds };
}

/** Refuses a request that was made for another bus or at another time. */
export async function checkStamp(bus: Bus, { aud, ts }: Stamp): Promise<void> {
  const did = (await busDid(bus)) ?? "";
  if (aud !== did) {
    const whose = did === "" ? "this bus is in open mode, and has no aud" : `this bus is ${did}`;
    throw unauthorized(`the request is meant for another bus: ${whose}`, "wrong_audience");
  }
  const now = bus.now();
  if (Math.abs(now - ts / 1_000) <= STAMP_TOLERANCE_SECONDS) return;
  const clock = new Date(now * 1_000).toISOString();
  throw unauthorized(
    `the request's ts is too far from this server's time, ${clock} (${Math.round(now * 1_000)})`,
    "stale",
  );
}

/** What lets the store do a signed request once, however often it comes. */
export function onceOf(bus: Bus, signer: string, { nonce }: Stamp, bytes: Uint8Array): Once {
  return { signer, nonce, digest: cryptography().hash("sha256", bytes), at: bus.now() };
}
