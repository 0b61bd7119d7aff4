import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Caller } from "../../core/caller.ts";
import { IpcError, unauthorized } from "../../core/errors.ts";
import { cryptography } from "../../core/keys.ts";

export interface Door {
  /** Every request must show it, where there is one. */
  readonly apiKey: string | undefined;
  /** Lets in who comes from beyond this machine without any proof. */
  readonly insecure: boolean;
}

const LOOPBACK_HOST = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/i;

const LOOPBACK_ADDRESS = /^(::ffff:)?127\.|^::1$/;

/** Who sends this request. Throws where the request itself says that it must not be let in. */
export function callerOf(request: IncomingMessage, door: Door): Caller {
  refuseForeignOrigin(request.headers);
  if (door.apiKey !== undefined && !showsKey(request.headers, door.apiKey)) {
    throw new IpcError("unauthorized", "unauthorized", "unauthenticated");
  }
  return {
    from: isLocal(request) ? "local" : "beyond",
    proof: door.apiKey !== undefined ? "api-key" : door.insecure ? "waived" : "none",
  };
}

/**
 * From this machine: the connection comes from a loopback address, was made to one by name, and nobody passed it on.
 * A page in a browser that was rebound to 127.0.0.1 names another host; a reverse proxy names whom it speaks for.
 */
function isLocal({ socket, headers }: IncomingMessage): boolean {
  return (
    LOOPBACK_ADDRESS.test(socket.remoteAddress ?? "") &&
    LOOPBACK_HOST.test(headers.host ?? "") &&
    !Object.keys(headers).some((name) => name === "forwarded" || name === "via" || name.startsWith("x-forwarded-"))
  );
}

function refuseForeignOrigin({ origin, host }: IncomingHttpHeaders): void {
  if (origin === undefined || origin === `http://${host}` || origin === `https://${host}`) return;
  throw unauthorized("this request comes from a web page elsewhere", "from_beyond");
}

function showsKey({ authorization }: IncomingHttpHeaders, apiKey: string): boolean {
  const [, shown = ""] = /^Bearer +(.+)$/i.exec(authorization ?? "") ?? [];
  const { hash, timingSafeEqual } = cryptography();
  return timingSafeEqual(hash("sha256", shown, "buffer"), hash("sha256", apiKey, "buffer"));
}
