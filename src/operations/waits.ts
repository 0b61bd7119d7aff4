import type { Caller } from "../core/caller.ts";
import { LONGEST_WAIT_SECONDS, WAIT_SECONDS } from "../core/limits.ts";
import { httpMilliseconds, optional, seconds } from "./fields.ts";

/** How long a wait of S4's lasts. */
export const waitTime = optional(httpMilliseconds(seconds("Wait this many seconds at most")));

/** Who waits in its own process may wait for ever; a connection is answered in time, so that nothing on its way gives up. */
export function waitSeconds(timeout: number | undefined, caller: Caller): number | undefined {
  if (caller.from === "process") return timeout;
  return Math.min(timeout ?? WAIT_SECONDS, LONGEST_WAIT_SECONDS);
}
