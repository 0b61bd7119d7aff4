import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Caller, Identity } from "../../core/caller.ts";
import { IpcError, unauthorized } from "../../core/errors.ts";
import { cryptography } from "../../core/keys.ts";

export interface Door {
  /** Every request must show it, or a token in its place, where there is one. */
  readonly apiKey: string | undefined;
  /** Lets in who comes from beyond this machine without any proof. */
  readonly insecure: boolean;
  /** Whom a token speaks for; throws for one that isn't good. */
  readonly identify: (token: string) => Promise<Identity>;
}

const RECHECK_MS = 30_000;

const LOOPBACK_HOST = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/i;

/** What whoever passes a request on may say of whose it is. */
const PASSED_ON = /^(forwarded|via|x-forwarded(-.*)?|x-real-ip|(x-|true-|fastly-|fly-)?client-ip|cf-connecting-ip)$/;

const LOOPBACK_ADDRESS = /^(::ffff:)?127\.|^::1$/;

/** Ends what a token opened when it runs out or isn't good any more, as when its agent was revoked. Answers with how to stop. */
export function endWithToken(request: IncomingMessage, { expires }: Identity, door: Door, end: () => void): () => void {
  const expiry = setTimeout(end, Math.max(0, expires * 1_000 - Date.now()));
  const check = setInterval(() => door.identify(shownIn(request.headers)).catch(end), RECHECK_MS);
  return () => {
    clearTimeout(expiry);
    clearInterval(check);
  };
}

/** Who sends this request. Throws where the request itself says that it must not be let in. */
export async function callerOf(request: IncomingMessage, door: Door): Promise<Caller> {
  refuseForeignPage(request.headers);
  const shown = shownIn(request.headers);
  const hasKey = door.apiKey !== undefined && isSame(shown, door.apiKey);
  const identity = !hasKey && isToken(shown) ? await door.identify(shown) : undefined;
  if (door.apiKey !== undefined && !hasKey && identity === undefined) {
    throw new IpcError("unauthorized", "unauthorized", "unauthenticated");
  }
  return { from: isLocal(request) ? "local" : "beyond", admitted: hasKey || door.insecure, hasKey, identity };
}

/**
 * From this machine: the connection comes from a loopback address, was made to one by name, and nobody passed it on.
 * A page in a browser that was rebound to 127.0.0.1 names another host; a reverse proxy names whom it speaks for, or
 * speaks HTTP/1.0, as nginx does where nobody told it more.
 */
function isLocal({ socket, headers, httpVersion }: IncomingMessage): boolean {
  return (
    LOOPBACK_ADDRESS.test(socket.remoteAddress ?? "") &&
    LOOPBACK_HOST.test(headers.host ?? "") &&
    httpVersion !== "1.0" &&
    !Object.keys(headers).some((name) => PASSED_ON.test(name))
  );
}

/** A browser names the page's origin where the page could read the answer, and else, as for an image, how far it is. */
function refuseForeignPage(headers: IncomingHttpHeaders): void {
  const { origin, host } = headers;
  const own = origin === undefined || origin === `http://${host}` || origin === `https://${host}`;
  const site = headers["sec-fetch-site"];
  if (own && (site === undefined || site === "same-origin" || site === "none")) return;
  throw unauthorized("this request comes from a web page elsewhere", "from_beyond");
}

/** What stands behind Authorization: Bearer. */
function shownIn({ authorization }: IncomingHttpHeaders): string {
  return /^Bearer +(.*\S) *$/i.exec(authorization ?? "")?.[1] ?? "";
}

function isToken(shown: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]*$/.test(shown);
}

/** In a time that doesn't tell how much of it is right. */
function isSame(shown: string, key: string): boolean {
  const { hash, timingSafeEqual } = cryptography();
  return timingSafeEqual(hash("sha256", shown, "buffer"), hash("sha256", key, "buffer"));
}
