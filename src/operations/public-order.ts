import type { Json, NewOrder, Order, OrderStatus } from "../core/session-store.ts";
import type { Quote } from "./tool.ts";

/** An order as the world sees it, where it is a command. */
export interface PublicOrder {
  readonly id: string;
  /** `command_response` tells the sender of a command how it ended. */
  readonly kind: "command" | "command_response";
  readonly from: string;
  /** The sender's session; null for a human or a program without one. */
  readonly fromId: string | null;
  /** A session's id, or the role for whoever of it is first. */
  readonly target: string;
  readonly targetRole: string;
  readonly action: string;
  readonly params: Json;
  readonly ts: number;
  readonly status: OrderStatus;
  /** How often it was handed out. */
  readonly attempts: number;
  readonly holder: string | null;
  readonly leaseUntil: number | null;
  readonly result: Json;
  /** When it ended, in whatever way. */
  readonly ackedAt: number | null;
}

export function publicOrder(order: NewOrder | Order): PublicOrder {
  const { id, kind, from, fromId, target, targetRole, action, params, createdAt } = order;
  const state = "status" in order ? order : undefined;
  return {
    id,
    kind,
    from,
    fromId,
    target: target ?? targetRole,
    targetRole,
    action,
    params,
    ts: createdAt,
    status: state?.status ?? "pending",
    attempts: state?.attempts ?? 0,
    holder: state?.holder ?? null,
    leaseUntil: state?.leaseUntil ?? null,
    result: state?.result ?? null,
    ackedAt: state?.endedAt ?? null,
  };
}

/** The command for a model: what is our own outside of the marks, what its sender chose inside. */
export function commandText({ command, agent }: { command: PublicOrder; agent?: string }, quote: Quote): string {
  const { id, kind, from, fromId, action, params, attempts } = command;
  const sender = [agent, from, fromId].filter((name) => name !== undefined && name !== null).join(", ");
  const response = kind === "command_response";
  const words = quote({
    from: sender,
    text: `${response ? "" : `${action} `}${JSON.stringify(params)}`,
    proof: agent === undefined ? undefined : "attested",
  });
  return `${response ? "How a command of yours ended" : id}${attempts > 1 ? ` (attempt ${attempts})` : ""}: ${words}`;
}

export function orderLine({ id, from, target, action, status, attempts }: PublicOrder): string {
  const again = attempts > 1 ? `, ${attempts} attempts` : "";
  return `${id}  ${status}${again}  ${from} -> ${target}  ${action}`;
}
