import type { Bus } from "./bus.ts";
import { IpcError, invalid, isIpcError, unauthorized } from "./errors.ts";
import { isMailbox, mailboxOf } from "./limits.ts";
import { SECURITY_CHANNEL } from "./security.ts";

/**
 * What an operation asks of its caller before it runs. `anyone`: nothing. `signed`: a proof that the request itself
 * carries, and that the operation checks. `reader`: the right to look. `actor`: to be known, where anybody is. `keeper`:
 * the right to destroy.
 */
export type Access = "anyone" | "signed" | "reader" | "actor" | "keeper";

/** What is asked for, as far as it matters who asks. */
export interface AccessRequest {
  readonly agent?: unknown;
  readonly channel?: unknown;
}

/** The access table: refuses who may not ask for this. Who opened the store itself is past it: the file's owner decided that. */
export async function admit(bus: Bus, access: Access, asked: AccessRequest, caller: Caller): Promise<void> {
  if (caller.from === "process" || access === "anyone") return;
  // What carries its own proof is let in from here in either mode, so that each send asks for the mode but once.
  if (access === "signed" && (caller.from === "local" || caller.admitted)) return;
  if (await isSecure(bus)) admitSecure(bus, access, asked, caller);
  else if (caller.from === "beyond" && !(access === "keeper" ? caller.hasKey : caller.admitted))
    throw fromBeyondError();
}

function admitSecure(bus: Bus, access: Access, asked: AccessRequest, { from, identity }: Caller): void {
  if (access === "signed") return;
  if (access === "keeper") {
    if (identity?.operator) return;
    throw identity ? notYoursError(`${identity.agent} is not an operator`) : tokenNeededError("an operator's token");
  }
  if (access === "actor") {
    if (identity === undefined) throw tokenNeededError("a token, where it can't be signed");
    return;
  }
  if (identity !== undefined) admitIdentity(asked, identity);
  else if (from === "beyond" || bus.readsNeedToken) throw tokenNeededError("a token");
}

/** Whether who shows a token may see what is said in a channel: not in others' mailboxes, and not the alarms. */
export function canSee(channel: string, identity: Identity | undefined): boolean {
  if (identity === undefined || identity.operator) return true;
  return channel !== SECURITY_CHANNEL && (!isMailbox(channel) || channel === mailboxOf(identity.agent));
}

/** An agent reads as itself, and neither others' mailboxes nor the alarms; an operator reads everything. */
function admitIdentity({ agent, channel }: AccessRequest, identity: Identity): void {
  if (identity.operator) return;
  if (agent !== undefined && agent !== identity.agent) throw notYoursError(`this token is for ${identity.agent}`);
  if (typeof channel === "string" && !canSee(channel, identity))
    throw notYoursError(`${channel} is not for ${identity.agent}`);
}

function fromBeyondError(): IpcError {
  return unauthorized(
    "this request comes from beyond this machine: it needs the server's API key (Authorization: Bearer …)",
    "from_beyond",
  );
}

function tokenNeededError(what: string): IpcError {
  const how = "make one with `el-ipc token AGENT --key FILE` and send it as Authorization: Bearer";
  return new IpcError("unauthorized", `this needs ${what} (secure mode active): ${how}`, "unauthenticated");
}

export function notYoursError(why: string): IpcError {
  return unauthorized(`not allowed: ${why}`, "not_yours");
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/i;

/** Whether a name or an address is this machine's own. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host);
}

/** Refuses to listen where strangers could reach an open bus. */
export function checkListenAddress(
  host: string,
  { hasKey, secure, insecure }: { hasKey: boolean; secure: boolean; insecure: boolean },
): void {
  if (isLoopback(host) || hasKey || secure || insecure) return;
  throw invalid(
    `listening on ${host} would let anyone who reaches this machine read and write: set IPC_API_KEY, seed an operator, or say --insecure`,
  );
}

/** Who asks, from where, and with what proof. */
export interface Caller {
  /** `process`: it opened the store itself. `local` and `beyond`: over a network, from this machine or from further. */
  readonly from: "process" | "local" | "beyond";
  /** It showed the server's key, or the server was told to let everyone in. Says nothing about who it is. */
  readonly admitted: boolean;
  /** It showed the server's key. */
  readonly hasKey: boolean;
  /** It showed a token. */
  readonly identity: Identity | undefined;
}

/** Whom a token speaks for. */
export interface Identity {
  readonly agent: string;
  readonly operator: boolean;
  /** Seconds since 1970. */
  readonly expires: number;
}

export const THIS_PROCESS: Caller = { from: "process", admitted: false, hasKey: false, identity: undefined };

/** For whom the bus takes a caller, and what it would let it do. */
export interface Rights {
  readonly secure_mode: boolean;
  readonly agent: string | null;
  readonly operator: boolean;
  /** When its token runs out, in seconds since 1970. */
  readonly expires: number | null;
  readonly may: readonly Access[];
}

const ASKABLE: readonly Access[] = ["anyone", "signed", "reader", "actor", "keeper"];

export async function getRights(bus: Bus, caller: Caller): Promise<Rights> {
  const { identity } = caller;
  const may: Access[] = [];
  for (const access of ASKABLE) if (await isAdmitted(bus, access, caller)) may.push(access);
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

/** Secure mode begins with the first operator and never ends by itself. */
export async function isSecure(bus: Bus): Promise<boolean> {
  return (await bus.store.agents.firstOperator()) !== undefined;
}
