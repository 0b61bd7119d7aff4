import type { Operation } from "./operation.ts";

/** Whether a token is shown for this: not where it doesn't matter who asks, and not for what its own signature proves. */
export function provesWithToken(operation: Operation, input: Readonly<Record<string, unknown>>): boolean {
  const { access } = operation;
  if (access === "anyone") return operation.knowsAsker?.(input) ?? false;
  return access !== "signed" || (input.signature === undefined && input.operator_signature === undefined);
}
