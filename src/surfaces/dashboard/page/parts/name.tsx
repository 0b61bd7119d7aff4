import { printable } from "../../../../wire/printable.ts";

/** Text that somebody else made up, with whatever could move, hide or reorder other text made visible. */
export function shown(text: string): string {
  return text.split("\t").map(printable).join("\t");
}

/** A name that somebody else made up: on one line, and in a direction of its own. */
export function Name({ of, strong = false }: { of: string; strong?: boolean }) {
  const text = shown(of);
  return (
    <bdi class={strong ? "name strong" : "name"} title={text.length > 16 ? text : undefined}>
      {text}
    </bdi>
  );
}
