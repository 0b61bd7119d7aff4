import { useState } from "preact/hooks";
import { printable } from "../../../../wire/printable.ts";
import { type Said, wellFormed } from "../bus/records.ts";

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

interface ContentProps {
  readonly said: Said;
  /** There is little room: only a few lines, unless somebody asks for more. */
  readonly brief?: boolean;
  /** What somebody searches for, to be marked. */
  readonly search?: string | undefined;
  /** Gets all of it, where no more than its beginning is here. */
  readonly whole?: (() => Promise<Said>) | undefined;
}

/** So much is shown before somebody asks for more, and so much with each time. */
const FIRST = { characters: 1_200, lines: 16 };
const BRIEF = { characters: 240, lines: 6 };
const MORE = 50_000;

/** What somebody said: as text, always, whatever it holds. */
export function Content({ said, brief = false, search = "", whole }: ContentProps) {
  const [all, setAll] = useState<Said | undefined>(undefined);
  const [most, setMost] = useState(0);
  const { text, json, length } = all ?? said;
  const part = most === 0 ? beginning(text, brief ? BRIEF : FIRST) : wellFormed(text.slice(0, most));

  const more = async (): Promise<void> => {
    if (most + MORE > text.length && text.length < length && whole !== undefined) setAll(await whole());
    setMost(most + MORE);
  };

  return (
    <div class="content">
      <pre dir="auto" class={json ? "json" : ""}>
        {length === 0 ? <span class="muted">empty</span> : <Marked text={shown(part)} search={search} />}
      </pre>
      {part.length < length ? (
        <p class="more">
          {part.length < text.length || whole !== undefined ? (
            <button type="button" class="link" onClick={() => void more()}>
              Show more
            </button>
          ) : (
            "Cut here"
          )}
          <span class="muted"> {amount(length)} in all</span>
        </p>
      ) : null}
      {most > 0 ? (
        <p class="more">
          <button type="button" class="link" onClick={() => setMost(0)}>
            Show less
          </button>
        </p>
      ) : null}
    </div>
  );
}

function beginning(text: string, most: typeof FIRST): string {
  return wellFormed(text.slice(0, most.characters)).split("\n").slice(0, most.lines).join("\n");
}

function amount(characters: number): string {
  return characters < 10_000
    ? `${characters} characters`
    : `${Math.round(characters / 1_000).toLocaleString()} k characters`;
}

/** Text with what is searched for marked in it. */
export function Marked({ text, search }: { text: string; search: string }) {
  if (search === "") return <>{text}</>;
  const parts = [];
  const [lower, wanted] = [text.toLowerCase(), search.toLowerCase()];
  let from = 0;
  for (let at = lower.indexOf(wanted); at >= 0 && parts.length < 200; at = lower.indexOf(wanted, from)) {
    parts.push(text.slice(from, at), <mark>{text.slice(at, at + wanted.length)}</mark>);
    from = at + wanted.length;
  }
  return (
    <>
      {parts}
      {text.slice(from)}
    </>
  );
}
