import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Caller } from "../../core/access.ts";
import { unauthorized } from "../../core/errors.ts";
import { type Entrance, identifyCaller, watchToken } from "../../server/entrance.ts";
import { isLoopbackAddress, isLoopbackAuthority } from "../../server/loopback.ts";

/** Headers in which a proxy says for whom it asks. */
const PASSED_ON = /^(forwarded|via|x-forwarded(-.*)?|x-real-ip|(x-|true-|fastly-|fly-)?client-ip|cf-connecting-ip)$/;

/** Identifies who sends a request. Throws where the request itself says that it must not be admitted. */
export async function callerOf(request: IncomingMessage, entrance: Entrance): Promise<Caller> {
  refuseForeignPage(request.headers);
  return identifyCaller(credentialIn(request.headers), isLocal(request) ? "local" : "beyond", entrance);
}

/** The caller of a request that anybody may make: nothing is checked of it, so nothing is granted to it. */
export function anonymousCaller(request: IncomingMessage): Caller {
  return { from: isLocal(request) ? "local" : "beyond", admitted: false, hasKey: false, identity: undefined };
}

/** Calls `end` when the token of a request isn't good any more. Returns how to stop watching it. */
export function watchRequestToken(
  request: IncomingMessage,
  caller: Caller,
  entrance: Entrance,
  end: () => void,
): () => void {
  return watchToken(credentialIn(request.headers), caller, entrance, end);
}

/**
 * Whether a request comes from this machine: over a connection from a loopback address, made to one by name, and passed
 * on by nobody. A page in a browser that was rebound to 127.0.0.1 names another host; a reverse proxy names for whom it
 * asks, or speaks HTTP/1.0, as nginx does by default.
 */
function isLocal({ socket, headers, httpVersion }: IncomingMessage): boolean {
  return (
    isLoopbackAddress(socket.remoteAddress) &&
    isLoopbackAuthority(headers.host) &&
    httpVersion !== "1.0" &&
    !Object.keys(headers).some((name) => PASSED_ON.test(name))
  );
}

/** A browser names the page's origin where the page could read the answer, and otherwise, as for an image, its site. */
function refuseForeignPage(headers: IncomingHttpHeaders): void {
  const { origin, host } = headers;
  const own = origin === undefined || origin === `http://${host}` || origin === `https://${host}`;
  const site = headers["sec-fetch-site"];
  if (own && (site === undefined || site === "same-origin" || site === "none")) return;
  throw unauthorized("this request comes from a web page elsewhere", "from_beyond");
}

/** Authorization: Bearer, or a subprotocol: a browser's WebSocket can't set the header. */
function credentialIn({ authorization, "sec-websocket-protocol": subprotocols = "" }: IncomingHttpHeaders): string {
  const [, credential] = /^Bearer +(.*\S) *$/i.exec(authorization ?? "") ?? [];
  return credential ?? /(?:^|,)\s*bearer\.([^\s,]+)/.exec(subprotocols)?.[1] ?? "";
}
