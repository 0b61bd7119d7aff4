import type { Line } from "./lines.ts";
import type { Neighbours } from "./neighbours/neighbours.ts";
import type { Original } from "./original.ts";

/** One thing to measure: a row of the table, or a few that are measured together. */
export interface Bench {
  /** What --only calls it. */
  readonly name: string;
  readonly about: string;
  run(setting: Setting): Promise<readonly Line[]>;
}

export interface Setting {
  /** How much to measure: less, to see that it works, or more, with ten million messages. */
  readonly extent: Extent;
  readonly original: Original | undefined;
  readonly neighbours: Neighbours;
  /** Says something that belongs under the table. */
  note(text: string): void;
}

export type Extent = "quick" | "usual" | "long";
