import { isSecure } from "./agents.ts";
import type { Bus } from "./bus.ts";
import type { Caller, Identity } from "./caller.ts";
import { IpcError, invalid, unauthorized } from "./errors.ts";
import { isMailbox, mailboxOf } from "./names.ts";
import { SECURITY_CHANNEL } from "./security.ts";

/**
 * What an operation asks of its caller before it runs. `anyone`: nothing. `signed`: a proof that the request itself
 * carries, and that the operation checks. `reader`: the right to look. `actor`: to be known, where anybody is. `keeper`:
 * the right to destroy.
 */
export type Access = "anyone" | "signed" | "reader" | "actor" | "keeper";

/** What is asked for, as far as it matters who asks. */
export interface Asked {
  readonly agent?: unknown;
  readonly channel?: unknown;
}

/** The access table: refuses who may not ask for this. Who opened the store itself is past it: the file's owner decided that. */
export async function admit(bus: Bus, access: Access, asked: Asked, caller: Caller): Promise<void> {
  if (caller.from === "process" || access === "anyone") return;
  // What carries its own proof is let in from here in either mode, so that each send asks for the mode but once.
  if (access === "signed" && (caller.from === "local" || caller.admitted)) return;
  if (await isSecure(bus)) admitSecure(bus, access, asked, caller);
  else if (caller.from === "beyond" && !(access === "keeper" ? caller.hasKey : caller.admitted)) throw beyond();
}

function admitSecure(bus: Bus, access: Access, asked: Asked, { from, identity }: Caller): void {
  if (access === "signed") return;
  if (access === "keeper") {
    if (identity?.operator) return;
    throw identity ? notYours(`${identity.agent} is not an operator`) : tokenNeeded("an operator's token");
  }
  if (access === "actor") {
    if (identity === undefined) throw tokenNeeded("a token, where it can't be signed");
    return;
  }
  if (identity !== undefined) admitIdentity(asked, identity);
  else if (from === "beyond" || bus.readsNeedToken) throw tokenNeeded("a token");
}

/** Whether who shows a token may see what is said in a channel: not in others' mailboxes, and not the alarms. */
export function maySee(channel: string, identity: Identity | undefined): boolean {
  if (identity === undefined || identity.operator) return true;
  return channel !== SECURITY_CHANNEL && (!isMailbox(channel) || channel === mailboxOf(identity.agent));
}

/** An agent reads as itself, and neither others' mailboxes nor the alarms; an operator reads everything. */
function admitIdentity({ agent, channel }: Asked, identity: Identity): void {
  if (identity.operator) return;
  if (agent !== undefined && agent !== identity.agent) throw notYours(`this token is for ${identity.agent}`);
  if (typeof channel === "string" && !maySee(channel, identity))
    throw notYours(`${channel} is not for ${identity.agent}`);
}

function beyond(): IpcError {
  return unauthorized(
    "this request comes from beyond this machine: it needs the server's API key (Authorization: Bearer …)",
    "from_beyond",
  );
}

function tokenNeeded(what: string): IpcError {
  const how = "make one with `el-ipc token AGENT --key FILE` and send it as Authorization: Bearer";
  return new IpcError("unauthorized", `this needs ${what} (secure mode active): ${how}`, "unauthenticated");
}

export function notYours(why: string): IpcError {
  return unauthorized(`not allowed: ${why}`, "not_yours");
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/i;

/** Whether a name or an address is this machine's own. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host);
}

/** Refuses to listen where strangers could reach an open bus. */
export function mayListen(
  host: string,
  { hasKey, secure, insecure }: { hasKey: boolean; secure: boolean; insecure: boolean },
): void {
  if (isLoopback(host) || hasKey || secure || insecure) return;
  throw invalid(
    `listening on ${host} would let anyone who reaches this machine read and write: set IPC_API_KEY, seed an operator, or say --insecure`,
  );
}
