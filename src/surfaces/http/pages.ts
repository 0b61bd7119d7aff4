import type { ServerResponse } from "node:http";
import type { Caller } from "../../core/access.ts";
import { IpcError } from "../../core/errors.ts";
import type { Operation } from "../../operations/operation.ts";
import { answerJson } from "./answer.ts";
import type { Metrics } from "./metrics.ts";

/** Pages about the server rather than the bus, by path. All are for GET. */
export type Pages = ReadonlyMap<string, (response: ServerResponse, caller: Caller) => Promise<void>>;

export function createPages(operations: readonly Operation[], product: string, metrics: Metrics): Pages {
  return new Map([
    ["/", async (response: ServerResponse) => answerIndex(response, operations, product)],
    ["/metrics", (response: ServerResponse, caller: Caller) => answerMetrics(response, caller, metrics)],
    ["/openapi.json", answerOpenApi],
  ]);
}

function answerIndex(response: ServerResponse, operations: readonly Operation[], product: string): void {
  const endpoints = operations.flatMap(({ http, summary }) => (http === undefined ? [] : { endpoint: http, summary }));
  answerJson(response, 200, { ok: true, server: product, endpoints });
}

async function answerMetrics(response: ServerResponse, caller: Caller, metrics: Metrics): Promise<void> {
  if (caller.from === "beyond" && !caller.admitted && !caller.identity?.operator) {
    throw new IpcError(
      "unauthorized",
      "metrics are open to this machine, to an operator's token, and to the API key",
      "from_beyond",
    );
  }
  response.setHeader("Content-Type", metrics.contentType);
  response.end(await metrics.text());
}

/** Reads the file beside the built program (scripts/openapi.ts) for each request, to keep it out of memory. */
async function answerOpenApi(response: ServerResponse): Promise<void> {
  const { readFile } = await import("node:fs/promises");
  answerJson(response, 200, JSON.parse(await readFile(`${import.meta.dirname}/openapi.json`, "utf8")));
}
