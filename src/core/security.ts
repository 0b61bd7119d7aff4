import type { IpcError, Reason } from "./errors.ts";
import type { Store } from "./store.ts";
import type { Topic } from "./waiting.ts";

/** Written by the bus alone: alarms for operators about refused requests. */
export const SECURITY_CHANNEL = "security";

const SENDER = "el-ipc";

/** Mistakes, not attacks. Every other reason raises an alarm. */
const MISTAKES: ReadonlySet<Reason> = new Set<Reason>(["too_large", "busy"]);

/** Alarms per reason and span. The rest are counted, and the next alarm gives their number. */
const MAX_ALARMS = 10;
const SPAN_SECONDS = 60;

/** The refused request, as far as an alarm describes it. */
export interface Attempt {
  readonly operation?: string | undefined;
  readonly channel?: unknown;
  readonly sender?: unknown;
  /** The address it came from. */
  readonly from?: string | undefined;
}

/** Limits alarms, so that a flood of attempts is no flood of messages. One per process. */
export interface AlarmBudget {
  /** The number of alarms of this kind held back before this one; undefined if this one is held back, too. */
  spend(kind: string, now: number): number | undefined;
}

export function createAlarmBudget(): AlarmBudget {
  const kinds = new Map<string, { since: number; spent: number; heldBack: number }>();
  return {
    spend(kind, now) {
      const last = kinds.get(kind);
      const current =
        last !== undefined && now - last.since < SPAN_SECONDS
          ? last
          : { since: now, spent: 0, heldBack: last?.heldBack ?? 0 };
      kinds.set(kind, current);
      if (current.spent >= MAX_ALARMS) {
        current.heldBack++;
        return undefined;
      }
      current.spent++;
      const { heldBack } = current;
      current.heldBack = 0;
      return heldBack;
    },
  };
}

export interface AlarmContext {
  readonly store: Store;
  readonly alarms: AlarmBudget;
  readonly now: () => number;
  notify(changed: Topic): void;
}

/** Stores a refusal as a message in the security channel. Never throws, so that the caller gets the refusal itself. */
export async function raiseAlarm(bus: AlarmContext, refusal: IpcError, attempt: Attempt): Promise<void> {
  const { reason } = refusal;
  if (reason === undefined || MISTAKES.has(reason)) return;
  const untold = bus.alarms.spend(reason, bus.now());
  if (untold === undefined) return;
  const content = JSON.stringify({
    event: reason,
    error: refusal.message,
    operation: attempt.operation,
    channel: shorten(attempt.channel),
    sender: shorten(attempt.sender),
    from: attempt.from,
    ...(untold > 0 ? { untold } : {}),
  });
  try {
    await bus.store.messages.append({
      channel: SECURITY_CHANNEL,
      sender: SENDER,
      content,
      timestamp: bus.now(),
      signature: "",
    });
    await removeOldest(bus);
    bus.notify(SECURITY_CHANNEL);
  } catch {
    // The store is failing; its own operations report that.
  }
}

/** Bounds the disk space that attackers can fill. */
const MAX_KEPT = 10_000;
const REMOVED_AT_ONCE = 100;

async function removeOldest({ store: { messages } }: AlarmContext): Promise<void> {
  const { upTo, count } = await messages.prunable(SECURITY_CHANNEL, { keep: MAX_KEPT, consumed: false });
  if (count > 0) await messages.remove(SECURITY_CHANNEL, upTo, REMOVED_AT_ONCE);
}

function shorten(value: unknown): string | undefined {
  return typeof value === "string" ? value.slice(0, 200) : undefined;
}
