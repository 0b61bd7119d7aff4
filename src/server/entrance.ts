import type { Caller, Identity } from "../core/access.ts";
import { IpcError } from "../core/errors.ts";
import { nodeCrypto } from "../core/keys.ts";

/** Who is let in at a server, and on what proof. */
export interface Entrance {
  /** Every request must show it, or a token in its place, where there is one. */
  readonly apiKey: string | undefined;
  /** Lets in who comes from beyond this machine without any proof. */
  readonly insecure: boolean;
  /** Whom a token speaks for; throws for one that isn't good. */
  readonly identify: (token: string) => Promise<Identity>;
}

const RECHECK_MS = 30_000;

/** Who somebody is that shows this, an API key or a token, or nothing. Throws where that isn't enough to be let in. */
export async function identifyCaller(shown: string, from: "local" | "beyond", door: Entrance): Promise<Caller> {
  const hasKey = door.apiKey !== undefined && isSame(shown, door.apiKey);
  const identity = !hasKey && isToken(shown) ? await door.identify(shown) : undefined;
  if (door.apiKey !== undefined && !hasKey && identity === undefined) {
    throw new IpcError("unauthorized", "unauthorized", "unauthenticated");
  }
  return { from, admitted: hasKey || door.insecure, hasKey, identity };
}

/** Ends what a token opened when it runs out or isn't good any more, as when its agent was revoked. Answers with how to stop. */
export function endWithTheToken(shown: string, { identity }: Caller, door: Entrance, end: () => void): () => void {
  if (identity === undefined) return () => {};
  const expiry = setTimeout(end, Math.max(0, identity.expires * 1_000 - Date.now()));
  const check = setInterval(() => door.identify(shown).catch(end), RECHECK_MS);
  return () => {
    clearTimeout(expiry);
    clearInterval(check);
  };
}

function isToken(shown: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]*$/.test(shown);
}

/** In a time that doesn't tell how much of it is right. */
function isSame(shown: string, key: string): boolean {
  const { hash, timingSafeEqual } = nodeCrypto();
  return timingSafeEqual(hash("sha256", shown, "buffer"), hash("sha256", key, "buffer"));
}
