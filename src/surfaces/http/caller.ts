import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Caller } from "../../core/access.ts";
import { unauthorized } from "../../core/errors.ts";
import { isLoopbackAddress, isLoopbackAuthority } from "../../server/addresses.ts";
import { type Entrance, identifyCaller, watchToken } from "../../server/entrance.ts";

/** Headers by which a proxy names its client. */
const PASSED_ON = /^(forwarded|via|x-forwarded(-.*)?|x-real-ip|(x-|true-|fastly-|fly-)?client-ip|cf-connecting-ip)$/;

/** Identifies the sender of a request. Throws if the request must not be admitted. */
export async function callerOf(request: IncomingMessage, entrance: Entrance): Promise<Caller> {
  refuseForeignPage(request.headers);
  return identifyCaller(credentialIn(request.headers), isLocal(request) ? "local" : "beyond", entrance);
}

/** The caller of a request that anybody may make: nothing is checked, so nothing is granted. */
export function anonymousCaller(request: IncomingMessage): Caller {
  return { from: isLocal(request) ? "local" : "beyond", admitted: false, hasKey: false, identity: undefined };
}

export function watchRequestToken(
  request: IncomingMessage,
  caller: Caller,
  entrance: Entrance,
  end: () => void,
): () => void {
  return watchToken(credentialIn(request.headers), caller, entrance, end);
}

/**
 * Whether a request comes from this machine: over a loopback connection, to a loopback host name, and not through a proxy.
 * A browser page whose DNS was rebound to 127.0.0.1 names another host. A reverse proxy names its client, or speaks
 * HTTP/1.0, as nginx does by default.
 */
function isLocal({ socket, headers, httpVersion }: IncomingMessage): boolean {
  return (
    isLoopbackAddress(socket.remoteAddress) &&
    isLoopbackAuthority(headers.host) &&
    httpVersion !== "1.0" &&
    !Object.keys(headers).some((name) => PASSED_ON.test(name))
  );
}

/** Browsers send the page's origin if the page could read the answer, and else, as for an image, its site. */
function refuseForeignPage(headers: IncomingHttpHeaders): void {
  const { origin, host } = headers;
  const own = origin === undefined || origin === `http://${host}` || origin === `https://${host}`;
  const site = headers["sec-fetch-site"];
  if (own && (site === undefined || site === "same-origin" || site === "none")) return;
  throw unauthorized("this request comes from a web page elsewhere", "from_beyond");
}

/** Authorization: Bearer, or a subprotocol, since a browser's WebSocket can't set the header. */
function credentialIn({ authorization, "sec-websocket-protocol": subprotocols = "" }: IncomingHttpHeaders): string {
  const [, credential] = /^Bearer +(.*\S) *$/i.exec(authorization ?? "") ?? [];
  return credential ?? /(?:^|,)\s*bearer\.([^\s,]+)/.exec(subprotocols)?.[1] ?? "";
}
