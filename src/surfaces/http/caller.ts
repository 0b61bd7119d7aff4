import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Caller } from "../../core/access.ts";
import { unauthorized } from "../../core/errors.ts";
import { type Entrance, endWithTheToken, identifyCaller } from "../../server/entrance.ts";
import { isLoopbackAddress, isLoopbackAuthority } from "../../server/loopback.ts";

/** What whoever passes a request on may say of whose it is. */
const PASSED_ON = /^(forwarded|via|x-forwarded(-.*)?|x-real-ip|(x-|true-|fastly-|fly-)?client-ip|cf-connecting-ip)$/;

/** Ends what a request's token opened when that isn't good any more. Answers with how to stop. */
export function endWithRequestToken(
  request: IncomingMessage,
  caller: Caller,
  door: Entrance,
  end: () => void,
): () => void {
  return endWithTheToken(shownIn(request.headers), caller, door, end);
}

/** Who sends this request. Throws where the request itself says that it must not be let in. */
export async function callerOf(request: IncomingMessage, door: Entrance): Promise<Caller> {
  refuseForeignPage(request.headers);
  return identifyCaller(shownIn(request.headers), isLocal(request) ? "local" : "beyond", door);
}

/** Whoever sends this request, of whom nothing is asked, and to whom nothing is owed but what is no secret. */
export function strangerOf(request: IncomingMessage): Caller {
  return { from: isLocal(request) ? "local" : "beyond", admitted: false, hasKey: false, identity: undefined };
}

/**
 * From this machine: the connection comes from a loopback address, was made to one by name, and nobody passed it on.
 * A page in a browser that was rebound to 127.0.0.1 names another host; a reverse proxy names whom it speaks for, or
 * speaks HTTP/1.0, as nginx does where nobody told it more.
 */
function isLocal({ socket, headers, httpVersion }: IncomingMessage): boolean {
  return (
    isLoopbackAddress(socket.remoteAddress) &&
    isLoopbackAuthority(headers.host) &&
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

/** What stands behind Authorization: Bearer; or, for a browser's WebSocket, which can't say that, among its subprotocols. */
function shownIn({ authorization, "sec-websocket-protocol": subprotocols = "" }: IncomingHttpHeaders): string {
  const [, shown] = /^Bearer +(.*\S) *$/i.exec(authorization ?? "") ?? [];
  return shown ?? /(?:^|,)\s*bearer\.([^\s,]+)/.exec(subprotocols)?.[1] ?? "";
}
