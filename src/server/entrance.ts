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

/** Decides who is admitted to a server. */
export interface Entrance {
  /** If set, every request must show it, or a token. */
  readonly apiKey: string | undefined;
  /** Admits callers from other machines without proof. */
  readonly insecure: boolean;
  /** Returns the agent that a token speaks for; throws for an invalid token. */
  readonly identify: (token: string) => Promise<Identity>;
}

/** A bus as servers need it. The servers of one process share it. */
export interface ExposedBus {
  readonly operations: readonly Operation[];
  /** The operations open to a network, by verb. */
  readonly verbs: ReadonlyMap<string, Operation>;
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

/** Identifies a caller by its API key or token, if any. Throws if the caller is not admitted. */
export async function identifyCaller(shown: string, from: "local" | "beyond", entrance: Entrance): Promise<Caller> {
  const hasKey = entrance.apiKey !== undefined && isSame(shown, entrance.apiKey);
  const identity = !hasKey && isToken(shown) ? await entrance.identify(shown) : undefined;
  if (entrance.apiKey !== undefined && !hasKey && identity === undefined) {
    throw new IpcError("unauthorized", "unauthorized", "unauthenticated");
  }
  return { from, admitted: hasKey || entrance.insecure, hasKey, identity };
}

/**
 * Calls `end` when a caller's token expires or is no longer valid, as when its agent was revoked. Returns a function that
 * stops watching.
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

/** Compares in constant time. */
function isSame(shown: string, key: string): boolean {
  const { hash, timingSafeEqual } = nodeCrypto();
  return timingSafeEqual(hash("sha256", shown, "buffer"), hash("sha256", key, "buffer"));
}
