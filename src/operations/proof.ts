import type { Operation } from "./operation.ts";

/** Whether a token is shown for this: not for what anyone may ask about nobody, and not for what its own signature proves. */
export function provesWithToken({ access }: Operation, input: Readonly<Record<string, unknown>>): boolean {
  if (access === "anyone") return input.agent !== undefined;
  return access !== "signed" || (input.signature === undefined && input.operator_signature === undefined);
}
