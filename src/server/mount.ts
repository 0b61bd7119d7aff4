import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Caller } from "../core/access.ts";

export interface Visit {
  /** The whole path, with the mount's prefix and without the query. */
  readonly path: string;
  readonly caller: Caller;
  /** Aborts when the connection or the caller's token ends, and when the server stops. */
  readonly signal: AbortSignal;
  /** Reads the whole body, up to the usual limit. */
  body(): Promise<Buffer>;
}

/** Another surface on an HTTP server. It handles every method at and under its prefix. */
export interface Mount {
  readonly prefix: string;
  /** Skips admission, for a page that holds no secret and must load before its user can enter a key. */
  readonly open?: true;
  handle(request: IncomingMessage, response: ServerResponse, visit: Visit): Promise<void>;
}

/** Takes over a connection that asks for another protocol. Throws if it doesn't speak that. */
export type Upgrade = (
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  caller: Caller,
  signal: AbortSignal,
) => Promise<void>;
