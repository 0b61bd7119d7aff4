export type Key = string | number;

/** Where each row begins, as far as its height is known, and else as it probably is. */
export interface Rows {
  readonly keys: readonly Key[];
  /** One more than there are rows. */
  readonly offsets: Float64Array;
  readonly total: number;
  /** The row at a height; the nearest where there is none. */
  at(top: number): number;
}

/** What stays where it is when something else changes: the beginning, the end, or a row and how far it is scrolled past. */
export type Anchor = typeof START | typeof END | { readonly key: Key; readonly past: number; readonly top: number };

export const START = "start";
export const END = "end";

export function layOut(keys: readonly Key[], heights: ReadonlyMap<Key, number>, estimate: number): Rows {
  const offsets = new Float64Array(keys.length + 1);
  let total = 0;
  for (const [index, key] of keys.entries()) {
    total += heights.get(key) ?? estimate;
    offsets[index + 1] = total;
  }
  return {
    keys,
    offsets,
    total,
    at(top) {
      let [low, high] = [0, Math.max(0, keys.length - 1)];
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if ((offsets[middle] ?? 0) <= top) low = middle;
        else high = middle - 1;
      }
      return low;
    },
  };
}

/** What is in view when a list is scrolled this far. One that doesn't follow its end keeps to its beginning. */
export function anchorAt(top: number, rows: Rows, follows: boolean): Anchor {
  if (top <= 1 && !follows) return START;
  const index = rows.at(top);
  const key = rows.keys[index];
  return key === undefined ? START : { key, past: top - (rows.offsets[index] ?? 0), top };
}

export function topOf(anchor: Anchor, rows: Rows, height: number): number {
  if (anchor === START) return 0;
  const most = Math.max(0, rows.total - height);
  if (anchor === END) return most;
  const index = rows.keys.indexOf(anchor.key);
  return Math.min(most, index < 0 ? anchor.top : (rows.offsets[index] ?? 0) + anchor.past);
}
