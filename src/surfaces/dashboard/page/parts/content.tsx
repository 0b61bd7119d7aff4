import { useState } from "preact/hooks";
import { printable } from "../../../../wire/printable.ts";
import { type Payload, wellFormed } from "../bus/records.ts";

/** Escapes characters that could move, hide or reorder other text, and keeps tabs. */
export function makeVisible(text: string): string {
  return text.split("\t").map(printable).join("\t");
}

/** A name from the bus, on one line, with its own text direction. */
export function Name({ of, strong = false }: { of: string; strong?: boolean }) {
  const text = makeVisible(of);
  return (
    <bdi class={strong ? "name strong" : "name"} title={text.length > 16 ? text : undefined}>
      {text}
    </bdi>
  );
}

interface ContentProps {
  readonly payload: Payload;
  readonly brief?: boolean;
  readonly search?: string | undefined;
  /** Fetches the whole payload where only its beginning is loaded. */
  readonly whole?: (() => Promise<Payload>) | undefined;
}

/** The amounts shown at first. MORE is what each "Show more" adds, in characters. */
const FIRST = { characters: 1_200, lines: 16 };
const BRIEF = { characters: 240, lines: 6 };
const MORE = 50_000;

/** A payload, shown as text and never as markup. */
export function Content({ payload, brief = false, search = "", whole }: ContentProps) {
  const [all, setAll] = useState<Payload | undefined>(undefined);
  const [limit, setLimit] = useState(0);
  const { text, json, length } = all ?? payload;
  const part = limit === 0 ? beginning(text, brief ? BRIEF : FIRST) : wellFormed(text.slice(0, limit));

  const more = async (): Promise<void> => {
    if (limit + MORE > text.length && text.length < length && whole !== undefined) setAll(await whole());
    setLimit(limit + MORE);
  };

  return (
    <div class="content">
      <pre dir="auto" class={json ? "json" : ""}>
        {length === 0 ? <span class="muted">empty</span> : <Marked text={makeVisible(part)} search={search} />}
      </pre>
      {part.length < length ? (
        <p class="small">
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
      {limit > 0 ? (
        <p class="small">
          <button type="button" class="link" onClick={() => setLimit(0)}>
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
