import type { Caller } from "../core/caller.ts";
import { LONGEST_WAIT_SECONDS, WAIT_SECONDS } from "../core/limits.ts";

/** Who waits in its own process may wait for ever; a connection is answered in time, so that nothing on its way gives up. */
export function waitSeconds(timeout: number | undefined, caller: Caller): number | undefined {
  if (caller.from === "process") return timeout;
  return Math.min(timeout ?? WAIT_SECONDS, LONGEST_WAIT_SECONDS);
}
