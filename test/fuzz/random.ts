/** A source of chance that a seed repeats: FUZZ_SEED, which a failed run prints. */
export interface Chance {
  readonly seed: number;
  /** From 0 to `most`, without it. */
  below(most: number): number;
  /** True so often. */
  often(share: number): boolean;
  pick<T>(from: readonly T[]): T;
  bytes(most: number): Buffer;
  /** Text with whatever may hurt in it. */
  text(most: number): string;
  /** Any JSON value, some of them deep. */
  json(depth?: number): unknown;
}

const NASTY = [
  "",
  "-",
  "--",
  "\u0000",
  "\n",
  "\r\n",
  "\u001b[31m",
  "\u202e",
  "\ud800",
  "\ufeff",
  "\u0085",
  "é",
  "🎉",
  "%",
  "%00",
  "%ff",
  "'",
  '"',
  "\\",
  "..",
  "__proto__",
  "constructor",
  "toString",
  "null",
  "NaN",
  "Infinity",
  "-0",
  "1e999",
  "0x10",
  "9007199254740993",
  "-1",
  "1.5",
  "true",
  "[object Object]",
  "'; DROP TABLE messages; --",
  "$(id)",
  "{}",
];

export function createChance(seed = Number(process.env.FUZZ_SEED) || Math.floor(Math.random() * 2 ** 31)): Chance {
  let state = seed;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (most: number) => Math.floor(next() * most);
  const often = (share: number) => next() < share;
  const pick = <T>(from: readonly T[]): T => {
    const picked = from[below(from.length)];
    if (picked === undefined) throw new Error("there is nothing to pick from");
    return picked;
  };
  const bytes = (most: number) => Buffer.from(Array.from({ length: below(most) }, () => below(256)));
  const text = (most: number): string => {
    if (often(0.5)) return pick(NASTY);
    const parts = Array.from({ length: 1 + below(4) }, () =>
      often(0.5) ? pick(NASTY) : String.fromCharCode(...Array.from({ length: below(most) }, () => 32 + below(95))),
    );
    return parts.join("");
  };
  const json = (depth = 0): unknown => {
    const kind = below(depth > 4 ? 6 : 8);
    if (kind === 0) return pick([null, true, false, {}, []]);
    if (kind === 1) return pick([0, -1, 1.5, 1e308, -1e308, 2 ** 53, 1e-320, -0]);
    if (kind < 6) return text(20);
    const length = below(5);
    if (kind === 6) return Array.from({ length }, () => json(depth + 1));
    return Object.fromEntries(Array.from({ length }, () => [text(10), json(depth + 1)]));
  };
  return { seed, below, often, pick, bytes, text, json };
}
