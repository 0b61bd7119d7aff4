import type { Bus } from "./bus.ts";
import { type IpcError, isIpcError, unauthorized } from "./errors.ts";
import { isMailbox, mailboxOf } from "./names.ts";
import { SECURITY_CHANNEL } from "./security.ts";
import type { Session } from "./store.ts";

/**
 * An operation's requirement of its caller. `anyone`: nothing. `signed`: a proof inside the request, which the operation
 * checks. `reader`: the right to look. `actor`: a known identity, in secure mode. `keeper`: the right to destroy.
 */
export type Access = "anyone" | "signed" | "reader" | "actor" | "keeper";

export interface AccessRequest {
  readonly agent?: unknown;
  readonly channel?: unknown;
}

export interface Caller {
  /** `process`: opened the store itself. `local` and `beyond`: over a network, from this machine or from another. */
  readonly from: "process" | "local" | "beyond";
  /** Showed the server's key, or the server needs none. This doesn't identify the caller. */
  readonly admitted: boolean;
  readonly hasKey: boolean;
  /** From its token. */
  readonly identity: Identity | undefined;
}

/** The agent a token speaks for. */
export interface Identity {
  readonly agent: string;
  readonly operator: boolean;
  /** Seconds since 1970. */
  readonly expires: number;
}

export const THIS_PROCESS: Caller = { from: "process", admitted: false, hasKey: false, identity: undefined };

/** Throws where the caller may not ask. A caller in this process opened the store, so file permissions admit it. */
export async function admit(bus: Bus, access: Access, asked: AccessRequest, caller: Caller): Promise<void> {
  if (caller.from === "process" || access === "anyone") return;
  // Both modes admit requests with their own proof, so a send looks up the mode only once.
  if (access === "signed" && (caller.from === "local" || caller.admitted)) return;
  if (await isSecure(bus)) admitSecure(bus, access, asked, caller);
  else if (caller.from === "beyond" && !(access === "keeper" ? caller.hasKey : caller.admitted)) {
    const needs = "it needs the server's API key (Authorization: Bearer …)";
    throw unauthorized(`this request comes from beyond this machine: ${needs}`, "from_beyond");
  }
}

function admitSecure(bus: Bus, access: Access, asked: AccessRequest, { from, identity }: Caller): void {
  if (access === "signed") return;
  if (access === "keeper") {
    if (identity?.operator) return;
    throw identity ? notYoursError(`${identity.agent} is not an operator`) : tokenNeededError("an operator's token");
  }
  if (access === "actor") {
    if (identity === undefined) throw tokenNeededError("a token, since it can't be signed");
    return;
  }
  if (identity !== undefined) admitIdentity(asked, identity);
  else if (from === "beyond" || bus.readsNeedToken) throw tokenNeededError("a token");
}

/** Agents read as themselves, and neither others' mailboxes nor the alarms; operators read everything. */
function admitIdentity({ agent, channel }: AccessRequest, identity: Identity): void {
  if (identity.operator) return;
  if (agent !== undefined && agent !== identity.agent) throw notYoursError(`this token is for ${identity.agent}`);
  if (typeof channel === "string" && !canSee(channel, identity))
    throw notYoursError(`${channel} is not for ${identity.agent}`);
}

export function canSee(channel: string, identity: Identity | undefined): boolean {
  if (identity === undefined || identity.operator) return true;
  return channel !== SECURITY_CHANNEL && (!isMailbox(channel) || channel === mailboxOf(identity.agent));
}

/** The items of a list that the caller may see. Every list in the core that names channels goes through this. */
export function visibleTo<T extends { readonly channel: string }>(
  { identity }: Caller,
  items: readonly T[],
): readonly T[] {
  return identity === undefined || identity.operator ? items : items.filter(({ channel }) => canSee(channel, identity));
}

/** Whether the caller may speak for a session in secure mode. In open mode anyone may. */
export function ownsSession(session: Session, { from, identity }: Caller): boolean {
  if (from === "process" || identity?.operator) return true;
  return session.agent !== null && session.agent === identity?.agent;
}

/** Secure mode begins with the first operator, and no request ends it. */
export async function isSecure(bus: Bus): Promise<boolean> {
  return (await bus.store.agents.firstOperator()) !== undefined;
}

export interface Rights {
  readonly secure_mode: boolean;
  readonly agent: string | null;
  readonly operator: boolean;
  /** Seconds since 1970. */
  readonly expires: number | null;
  readonly may: readonly Access[];
}

const ACCESS_LEVELS: readonly Access[] = ["anyone", "signed", "reader", "actor", "keeper"];

export async function getRights(bus: Bus, caller: Caller): Promise<Rights> {
  const { identity } = caller;
  const may: Access[] = [];
  for (const access of ACCESS_LEVELS) if (await isAdmitted(bus, access, caller)) may.push(access);
  return {
    secure_mode: await isSecure(bus),
    agent: identity?.agent ?? null,
    operator: identity?.operator ?? false,
    expires: identity?.expires ?? null,
    may,
  };
}

async function isAdmitted(bus: Bus, access: Access, caller: Caller): Promise<boolean> {
  try {
    await admit(bus, access, {}, caller);
    return true;
  } catch (error) {
    if (isIpcError(error)) return false;
    throw error;
  }
}

function tokenNeededError(what: string): IpcError {
  const how = "make one with `el-ipc token AGENT --key FILE` and send it as Authorization: Bearer";
  return unauthorized(`this needs ${what} (secure mode active): ${how}`, "unauthenticated");
}

export function notYoursError(why: string): IpcError {
  return unauthorized(`not allowed: ${why}`, "not_yours");
}
