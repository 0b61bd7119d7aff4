/** The figures of something that was measured several times. */
export interface Figure {
  readonly unit: Unit;
  readonly median: number;
  /** The least time or space, or the highest rate: what the machine can do when nothing else disturbs it. */
  readonly best: number;
  readonly samples: number;
}

export type Unit = "ms" | "µs" | "/s" | "%" | "MB" | "KiB" | "";

export function figure(unit: Unit, samples: readonly number[]): Figure {
  if (samples.length === 0) throw new Error("nothing was measured");
  const best = unit === "/s" ? Math.max(...samples) : Math.min(...samples);
  return { unit, median: percentile(samples, 50), best, samples: samples.length };
}

/** The figure of one percentile of many samples. */
export function figureAt(unit: Unit, samples: readonly number[], percent: number): Figure {
  return { ...figure(unit, samples), median: percentile(samples, percent) };
}

export function percentile(samples: readonly number[], percent: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const place = (percent / 100) * (sorted.length - 1);
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}

/** How many times as good ours is: as quick, as small or as many. Of one that stood still in most rounds its best counts. */
export function timesBetter(ours: Figure, beside: Figure): number {
  return ours.unit === "/s" ? rateOf(ours) / rateOf(beside) : beside.median / ours.median;
}

function rateOf({ median, best }: Figure): number {
  return median === 0 ? best : median;
}

export function show({ unit, median, best }: Omit<Figure, "samples">): string {
  const digits = unit === "/s" ? `${number(median)}/s` : `${number(median)}${unit === "" ? "" : ` ${unit}`}`;
  return best === median ? digits : `${digits} (${number(best)})`;
}

/** Three digits that count, and all of those before the point. */
export function number(value: number): string {
  const size = Math.abs(value);
  const decimals = size === 0 || size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  const text = value.toFixed(decimals);
  return size >= 10_000 ? text.replace(/\B(?=(\d{3})+$)/g, ",") : text;
}
