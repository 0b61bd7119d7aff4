import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Caller } from "../../core/caller.ts";
import { KEEP_ALIVE } from "../../wire/sse.ts";
import type { Settle } from "./server.ts";

/** An HTTP request that somebody may make. */
export interface Asked {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly caller: Caller;
  readonly signal: AbortSignal;
  body(): Promise<Buffer>;
}

/** One HTTP request, and whether anybody is still there to be answered. */
export interface Exchange {
  readonly caller: Caller;
  readonly signal: AbortSignal;
  /** It holds one message, and not a batch. */
  readonly single: boolean;
  /** Takes what is to be done once it is known whether the answer arrived. */
  answering(settle: Settle): void;
  /** Ends the answer where there is none to wait for. */
  end(): void;
}

export function createExchange(
  response: ServerResponse,
  caller: Caller,
  signal: AbortSignal,
  single: boolean,
): Exchange {
  const settles: Settle[] = [];
  response.once("close", () => {
    for (const settle of settles) void settle(response.writableFinished);
  });
  return {
    caller,
    signal,
    single,
    answering(settle) {
      if (response.closed) void settle(response.writableFinished);
      else settles.push(settle);
    },
    end: () => void response.end(),
  };
}

/** The body as JSON; undefined where it isn't any. */
export async function jsonBody({ body }: Asked): Promise<unknown> {
  const bytes = await body();
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

/** The request as the protocol's package takes it; its body goes beside it. */
export function webRequest(request: IncomingMessage, signal: AbortSignal): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    for (const text of Array.isArray(value) ? value : [value ?? ""]) headers.append(name, text);
  }
  return new Request("http://localhost/mcp", { method: request.method ?? "GET", headers, signal });
}

/** An answer that the protocol's package doesn't make for us. */
export function failure(status: number, message: string, headers: Record<string, string> = {}, code = -32_000) {
  return Response.json({ jsonrpc: "2.0", error: { code, message }, id: null }, { status, headers });
}

export function tooMany(): Response {
  return failure(503, "Too many sessions", { "Retry-After": "60" });
}

/** Writes an answer of the protocol's package: a stream at once, with a byte, and at the pace of its reader. */
export async function answerWith(response: ServerResponse, answer: Response, signal: AbortSignal): Promise<void> {
  if (response.destroyed) return void (await answer.body?.cancel());
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  if (answer.headers.get("content-type")?.startsWith("text/event-stream")) response.write(KEEP_ALIVE);
  const reader = answer.body?.getReader();
  const stop = () => void reader?.cancel().catch(() => {});
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop, { once: true });
  for (let part = await reader?.read(); part?.value !== undefined; part = await reader?.read()) {
    if (response.destroyed || response.writableEnded) break;
    if (!response.write(part.value)) await Promise.race([once(response, "drain"), once(response, "close")]);
  }
  signal.removeEventListener("abort", stop);
  stop();
  response.end();
}
