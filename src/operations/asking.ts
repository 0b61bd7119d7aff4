import { invalid } from "../core/errors.ts";
import { toldOf } from "./input.ts";
import type { Operation } from "./operation.ts";

export interface Asking {
  readonly operation: Operation;
  readonly input: Readonly<Record<string, unknown>>;
}

/** What somebody on a network asks for by its verb. */
export function askingFor(operations: readonly Operation[], ask: unknown, input: unknown = {}): Asking {
  const operation = operations.find(({ name, http }) => name === ask && http !== undefined);
  if (operation === undefined) throw invalid(`there is nothing called ${JSON.stringify(ask)} to ask for`);
  if (typeof input !== "object" || input === null || Array.isArray(input)) throw invalid("input must be a JSON object");
  return { operation, input: Object.fromEntries(toldOf(operation.input, input)) };
}
