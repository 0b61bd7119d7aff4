import type { Caller, Identity } from "../core/access.ts";
import type { Bus } from "../core/bus.ts";
import { IpcError } from "../core/errors.ts";
import { nodeCrypto } from "../core/keys.ts";
import { raiseAlarm } from "../core/security.ts";
import { verifyToken } from "../core/token.ts";
import { operations } from "../operations/index.ts";
import type { Operation } from "../operations/operation.ts";
import { createLocalEndpoint, type Endpoint } from "../operations/perform.ts";
import { type BufferBudget, createBufferBudget } from "./budget.ts";
import { createDelivery, type Deliver } from "./deliver.ts";

/** Who is admitted at a server, and on what proof. */
export interface Entrance {
  /** Where there is a key, every request must show it, or a token in its place. */
  readonly apiKey: string | undefined;
  /** Admits callers from beyond this machine without any proof. */
  readonly insecure: boolean;
  /** Finds whom a token speaks for; throws for one that isn't good. */
  readonly identify: (token: string) => Promise<Identity>;
}

/** A bus as servers need it. The servers of one process share it. */
export interface ExposedBus {
  readonly operations: readonly Operation[];
  /** The operations that a network may ask for, by verb. */
  readonly verbs: ReadonlyMap<string, Operation>;
  /** The bus, asked by one caller. */
  readonly endpointFor: (caller: Caller) => Endpoint;
  readonly deliver: Deliver;
  readonly budget: BufferBudget;
  readonly entrance: Entrance;
  /** Raises an alarm for a request that was refused before it reached the bus. */
  readonly reportRefusal: (refusal: IpcError, from: string) => Promise<void>;
}

export function exposeBus(bus: Bus, policy: Pick<Entrance, "apiKey" | "insecure">): ExposedBus {
  return {
    operations,
    verbs: new Map(operations.filter(({ http }) => http !== undefined).map((operation) => [operation.name, operation])),
    endpointFor: (caller) => createLocalEndpoint(bus, caller),
    deliver: createDelivery(),
    budget: createBufferBudget(),
    entrance: { ...policy, identify: (token) => verifyToken(bus, token) },
    reportRefusal: (refusal, from) => raiseAlarm(bus, refusal, { from }),
  };
}

const RECHECK_MS = 30_000;

/** Identifies a caller by the API key or token that it shows, or by nothing. Throws where that isn't enough to be admitted. */
export async function identifyCaller(shown: string, from: "local" | "beyond", entrance: Entrance): Promise<Caller> {
  const hasKey = entrance.apiKey !== undefined && isSame(shown, entrance.apiKey);
  const identity = !hasKey && isToken(shown) ? await entrance.identify(shown) : undefined;
  if (entrance.apiKey !== undefined && !hasKey && identity === undefined) {
    throw new IpcError("unauthorized", "unauthorized", "unauthenticated");
  }
  return { from, admitted: hasKey || entrance.insecure, hasKey, identity };
}

/**
 * Calls `end` when a caller's token runs out, or isn't good any more, as when its agent was revoked. Returns how to stop
 * watching it.
 */
export function watchToken(shown: string, { identity }: Caller, entrance: Entrance, end: () => void): () => void {
  if (identity === undefined) return () => {};
  const expiry = setTimeout(end, Math.max(0, identity.expires * 1_000 - Date.now()));
  const check = setInterval(() => entrance.identify(shown).catch(end), RECHECK_MS);
  return () => {
    clearTimeout(expiry);
    clearInterval(check);
  };
}

function isToken(shown: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]*$/.test(shown);
}

/** Compares in a time that doesn't tell how much of it is right. */
function isSame(shown: string, key: string): boolean {
  const { hash, timingSafeEqual } = nodeCrypto();
  return timingSafeEqual(hash("sha256", shown, "buffer"), hash("sha256", key, "buffer"));
}
