import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Caller } from "../core/access.ts";

/** What a mounted surface is told about a request, beside the request itself. */
export interface Visit {
  /** All of it, the prefix included, and without the query. */
  readonly path: string;
  readonly caller: Caller;
  /** Aborts when the connection or the caller's token ends, and when the server stops. */
  readonly signal: AbortSignal;
  /** All of its body, as bounded as any. */
  body(): Promise<Buffer>;
}

/** Another surface on an HTTP server: everything at and under a path is its own, whatever the method. */
export interface Mount {
  readonly prefix: string;
  /**
   * Anybody may visit it: what it hands out is no secret, as a page that a browser must load before a person can show it
   * a key. Without this a visitor is admitted like any other request.
   */
  readonly open?: true;
  handle(request: IncomingMessage, response: ServerResponse, visit: Visit): Promise<void>;
}

export function findMount(mounts: readonly Mount[], path: string): Mount | undefined {
  return mounts.find(({ prefix }) => path === prefix || path.startsWith(`${prefix}/`));
}

/** A surface that takes over connections on which a request asks for another protocol. Throws where it doesn't speak that. */
export type Upgrade = (
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  caller: Caller,
  signal: AbortSignal,
) => Promise<void>;
