import type { Bodies } from "./bodies.ts";
import type { Errands } from "./errands.ts";
import type { Log } from "./log.ts";

/** What is kept of sessions, orders and signals, and what follows from a change of it. */
export interface Sessions {
  readonly log: Log;
  readonly bodies: Bodies;
  readonly errands: Errands;
}
