import type { IpcError, Reason } from "./errors.ts";
import type { Store } from "./store.ts";
import { ANY_CHANGE, type Wakeup } from "./waiting.ts";

/** Written by the bus alone: an operator who waits there hears of every refusal. */
export const SECURITY_CHANNEL = "security";

const SENDER = "el-ipc";

/** Attempts, as opposed to mistakes: what an operator wants to be woken for. */
const ALARMING: ReadonlySet<Reason> = new Set<Reason>([
  "unauthenticated",
  "unsigned_message",
  "unknown_sender",
  "invalid_signature",
  "wrong_audience",
  "stale",
  "replay",
  "revoked",
  "unauthorized_registration",
  "invalid_token",
  "not_yours",
  "from_beyond",
]);

/** So many alarms of a kind in so many seconds; the rest are counted and told with the next. */
const MOST = 10;
const SPAN_SECONDS = 60;

export interface Attempt {
  readonly operation?: string | undefined;
  readonly channel?: unknown;
  readonly sender?: unknown;
  /** Where it came from. */
  readonly from?: string | undefined;
}

/** Keeps a flood of refused attempts from becoming a flood of messages. One a process. */
export interface AlarmBudget {
  /** How many of this kind went untold since the last one that was; undefined where this one goes untold too. */
  spend(kind: string, now: number): number | undefined;
}

export function createAlarmBudget(): AlarmBudget {
  const kinds = new Map<string, { since: number; told: number; untold: number }>();
  return {
    spend(kind, now) {
      const last = kinds.get(kind);
      const current =
        last !== undefined && now - last.since < SPAN_SECONDS
          ? last
          : { since: now, told: 0, untold: last?.untold ?? 0 };
      kinds.set(kind, current);
      if (current.told >= MOST) {
        current.untold++;
        return undefined;
      }
      current.told++;
      const { untold } = current;
      current.untold = 0;
      return untold;
    },
  };
}

/** The parts of the bus that an alarm needs. */
export interface AlarmContext {
  readonly store: Store;
  readonly wakeup: Wakeup;
  readonly alarms: AlarmBudget;
  readonly now: () => number;
}

/** Makes a refusal a message in the security channel. Never fails: the refusal itself is what the caller must hear. */
export async function raiseAlarm(bus: AlarmContext, refusal: IpcError, attempt: Attempt): Promise<void> {
  const { reason } = refusal;
  if (reason === undefined || !ALARMING.has(reason)) return;
  const untold = bus.alarms.spend(reason, bus.now());
  if (untold === undefined) return;
  const content = JSON.stringify({
    event: reason,
    error: refusal.message,
    operation: attempt.operation,
    channel: named(attempt.channel),
    sender: named(attempt.sender),
    from: attempt.from,
    ...(untold > 0 ? { untold } : {}),
  });
  try {
    const message = {
      channel: SECURITY_CHANNEL,
      sender: SENDER,
      content,
      timestamp: bus.now(),
      signature: "",
    };
    await bus.store.messages.append(message);
    await removeOldest(bus);
    bus.wakeup.ring(SECURITY_CHANNEL);
    bus.wakeup.ring(ANY_CHANGE);
  } catch {
    // The store is in trouble; the request that was refused is not the one to hear of it.
  }
}

/** Attempts go on for as long as anybody likes; the disk doesn't. */
const MAX_KEPT = 10_000;
const REMOVED_AT_ONCE = 100;

async function removeOldest({ store: { messages } }: AlarmContext): Promise<void> {
  const { upTo, count } = await messages.prunable(SECURITY_CHANNEL, { keep: MAX_KEPT, consumed: false });
  if (count > 0) await messages.remove(SECURITY_CHANNEL, upTo, REMOVED_AT_ONCE);
}

function named(value: unknown): string | undefined {
  return typeof value === "string" ? value.slice(0, 200) : undefined;
}
