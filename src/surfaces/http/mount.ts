import type { IncomingMessage, ServerResponse } from "node:http";
import type { Caller } from "../../core/caller.ts";

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

/** Another surface on this server: everything at and under a path is its own, whatever the method. */
export interface Mount {
  readonly prefix: string;
  /**
   * What it hands out is no secret, so it goes to anybody: a browser must load a page before a person can show it a key.
   * Without this a visitor has passed the same door as any other request.
   */
  readonly open?: true;
  handle(request: IncomingMessage, response: ServerResponse, visit: Visit): Promise<void>;
}

export function mountAt(mounts: readonly Mount[], path: string): Mount | undefined {
  return mounts.find(({ prefix }) => path === prefix || path.startsWith(`${prefix}/`));
}
