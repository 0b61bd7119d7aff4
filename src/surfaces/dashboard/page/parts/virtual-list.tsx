import type { ComponentChildren, HTMLAttributes } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

type Key = string | number;

/** The offset of each row, by its measured height or an estimate. */
interface Rows {
  readonly keys: readonly Key[];
  /** One entry more than there are rows. */
  readonly offsets: Float64Array;
  readonly total: number;
  /** The index of the row at an offset, or the nearest one. */
  at(top: number): number;
}

/** The position that stays in place when rows change: the start, the end, or a row and the pixels scrolled past it. */
type Anchor = typeof START | typeof END | { readonly key: Key; readonly past: number; readonly top: number };

const START = "start";
const END = "end";

function layOut(keys: readonly Key[], heights: ReadonlyMap<Key, number>, estimate: number): Rows {
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

/** The anchor at a scroll position. A list that doesn't follow its end is anchored at its start when scrolled to the top. */
function anchorAt(top: number, rows: Rows, follows: boolean): Anchor {
  if (top <= 1 && !follows) return START;
  const index = rows.at(top);
  const key = rows.keys[index];
  return key === undefined ? START : { key, past: top - (rows.offsets[index] ?? 0), top };
}

function topOf(anchor: Anchor, rows: Rows, height: number): number {
  if (anchor === START) return 0;
  const most = Math.max(0, rows.total - height);
  if (anchor === END) return most;
  const index = rows.keys.indexOf(anchor.key);
  return Math.min(most, index < 0 ? anchor.top : (rows.offsets[index] ?? 0) + anchor.past);
}

interface VirtualListProps<T> {
  readonly items: readonly T[];
  readonly keyOf: (item: T) => Key;
  readonly row: (item: T, index: number) => ComponentChildren;
  /** The expected height of a row, in pixels. */
  readonly estimate: number;
  readonly label: string;
  readonly class?: string;
  /** Starts at the end and follows new items unless the user scrolls back. */
  readonly follows?: boolean;
  readonly onStart?: () => void;
  readonly onFollow?: (follows: boolean) => void;
  /** More attributes of the list, for a listbox. */
  readonly list?: HTMLAttributes<HTMLUListElement>;
  readonly rowProps?: (item: T, index: number) => HTMLAttributes<HTMLLIElement>;
  /** The item to scroll into view when this changes. */
  readonly reveal?: Key | undefined;
  /** A new number scrolls to the end. */
  readonly toEnd?: number;
}

/** In pixels. */
const OVERSCAN = 300;
const NEAR = 400;

/** A list that renders only the rows in view. Rows may have any height, and change it. */
export function VirtualList<T>(props: VirtualListProps<T>) {
  const { items, keyOf, row, estimate, label, list, rowProps } = props;
  const { follows = false, onStart, onFollow, reveal, toEnd } = props;
  const box = useRef<HTMLDivElement>(null);
  const heights = useRef(new Map<Key, number>()).current;
  const anchor = useRef<Anchor>(follows ? END : START);
  const placed = useRef(0);
  const [height, setHeight] = useState(600);
  const [, draw] = useState(0);
  const again = () => draw((times) => times + 1);

  const rows = layOut(items.map(keyOf), heights, estimate);
  if (heights.size > 2 * items.length + 1_000) heights.clear();
  const top = topOf(anchor.current, rows, height);
  const first = rows.at(top - OVERSCAN);
  const last = Math.min(items.length, rows.at(top + height + OVERSCAN) + 1);

  const settle = (next: Anchor): void => {
    if ((next === END) !== (anchor.current === END)) onFollow?.(next === END);
    anchor.current = next;
  };

  const scrolled = (): void => {
    const element = box.current;
    // The layout effect below set this position.
    if (element === null || Math.abs(element.scrollTop - placed.current) < 2) return;
    placed.current = element.scrollTop;
    const rest = element.scrollHeight - element.scrollTop - element.clientHeight;
    settle(follows && rest < 24 ? END : anchorAt(element.scrollTop, rows, follows));
    if (element.scrollTop < NEAR) onStart?.();
    again();
  };

  useLayoutEffect(() => {
    if (!follows || toEnd === undefined || toEnd === 0) return;
    settle(END);
    again();
  }, [toEnd]);

  useLayoutEffect(() => {
    const index = reveal === undefined ? -1 : rows.keys.indexOf(reveal);
    if (index < 0) return;
    const [start, end] = [rows.offsets[index] ?? 0, rows.offsets[index + 1] ?? 0];
    if (start >= top && end <= top + height) return;
    settle(anchorAt(Math.max(0, start < top ? start : end - height), rows, follows));
    again();
  }, [reveal]);

  /** Measures the drawn rows, and keeps the anchor in place when rows above it change. */
  useLayoutEffect(() => {
    const element = box.current;
    const drawn = element?.firstElementChild?.children ?? [];
    if (element === null) return;
    const measure = (): void => {
      let changed = false;
      for (const child of drawn) {
        const key = rows.keys[Number(child instanceof HTMLElement ? child.dataset.index : "")];
        const measured = child.getBoundingClientRect().height;
        if (key === undefined || measured === 0 || heights.get(key) === measured) continue;
        heights.set(key, measured);
        changed = true;
      }
      if (element.clientHeight > 0 && element.clientHeight !== height) setHeight(element.clientHeight);
      if (changed) again();
    };
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    for (const child of drawn) observer.observe(child);
    measure();
    const wanted = topOf(anchor.current, layOut(rows.keys, heights, estimate), element.clientHeight);
    if (Math.abs(element.scrollTop - wanted) >= 1) {
      element.scrollTop = wanted;
      placed.current = element.scrollTop;
    }
    return () => observer.disconnect();
  });

  return (
    <div ref={box} class={`windowed ${props.class ?? ""}`} onScroll={scrolled}>
      <ul
        aria-label={label}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be within a keyboard's reach
        tabIndex={0}
        style={{
          paddingTop: `${rows.offsets[first] ?? 0}px`,
          paddingBottom: `${rows.total - (rows.offsets[last] ?? 0)}px`,
        }}
        {...list}
      >
        {items.slice(first, last).map((item, offset) => {
          const index = first + offset;
          return (
            <li
              key={rows.keys[index]}
              data-index={index}
              aria-setsize={items.length}
              aria-posinset={index + 1}
              {...rowProps?.(item, index)}
            >
              {row(item, index)}
            </li>
          );
        })}
      </ul>
    </div>
  );
}
