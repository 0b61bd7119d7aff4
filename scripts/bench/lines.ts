import { type Figure, number, timesBetter } from "./figures.ts";

/** A line of the table: what was done, how it went with us and with one other, and what it must reach. */
export interface Line {
  readonly work: string;
  readonly ours: Figure;
  readonly beside?: Beside | undefined;
  readonly target?: Target | undefined;
}

export interface Beside {
  readonly name: string;
  /** Undefined where it isn't here to be measured. */
  readonly figure: Figure | undefined;
}

export interface Target {
  readonly text: string;
  /** Whether the ratio is what we cost of the other, and not how many times better we are. */
  readonly share?: true;
  /** Undefined where what it needs wasn't measured. */
  holds(ours: Figure, beside: Figure | undefined): boolean | undefined;
}

/** How many times as good as the other. */
export function times(least: number): Target {
  return {
    text: `≥ ${least}×`,
    holds: (ours, beside) => beside && timesBetter(ours, beside) >= least,
  };
}

/** Ahead of the other. */
export const ahead: Target = { ...times(1), text: "ahead" };

/** At most so many times what the other takes. */
export function share(most: number): Target {
  return {
    text: `≤ ${most} of it`,
    share: true,
    holds: (ours, beside) => beside && 1 / timesBetter(ours, beside) <= most,
  };
}

/** Nothing that it must reach: only what we cost of the other. */
export const shareAlone: Target = { text: "", share: true, holds: () => undefined };

/** At least this part of the other's rate. */
export function part(least: number): Target {
  return { ...times(least), text: `≥ ${least} of it` };
}

export function atMost(most: number): Target {
  return { text: `≤ ${number(most)}`, holds: (ours) => ours.median <= most };
}

/** No more than twice of what it was with the least stored. */
export function flat(least: Figure): Target {
  return { text: "flat (≤ 2×)", holds: (ours) => ours.median <= 2 * least.median };
}

export type Verdict = "pass" | "miss" | "not run" | "";

export function verdict({ ours, beside, target }: Line): Verdict {
  if (target === undefined || target.text === "") return "";
  const holds = target.holds(ours, beside?.figure);
  return holds === undefined ? "not run" : holds ? "pass" : "miss";
}

/** How we compare with what ran beside us; undefined where nothing did, or nothing was needed. */
export function ratioOf({ ours, beside, target }: Line): number | undefined {
  if (beside?.figure === undefined) return undefined;
  const better = timesBetter(ours, beside.figure);
  const ratio = target?.share ? 1 / better : better;
  return Number.isFinite(ratio) ? ratio : undefined;
}
