import type { Caller } from "./caller.ts";
import { invalid, unauthorized } from "./errors.ts";

/**
 * What an operation asks of its caller before it runs: nothing (`anyone`), a proof that the request itself carries
 * (`signed`: the operation checks it), or the right to look (`reader`).
 */
export type Access = "anyone" | "signed" | "reader";

/** Refuses a caller that may not ask for this at all. What a message or a registration must prove is checked with it. */
export function admit(access: Access, caller: Caller, secure: boolean): void {
  if (caller.from !== "beyond" || caller.proof !== "none") return;
  if (access === "anyone") return;
  if (access === "signed" && secure) return;
  throw unauthorized(
    "this request comes from beyond this machine: it needs the server's API key (Authorization: Bearer …)",
    "from_beyond",
  );
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/i;

/** Refuses to listen where strangers could reach an open bus. */
export function mayListen(
  host: string,
  { hasKey, secure, insecure }: { hasKey: boolean; secure: boolean; insecure: boolean },
): void {
  if (LOOPBACK.test(host) || hasKey || secure || insecure) return;
  throw invalid(
    `listening on ${host} would let anyone who reaches this machine read and write: set IPC_API_KEY, seed an operator, or say --insecure`,
  );
}
