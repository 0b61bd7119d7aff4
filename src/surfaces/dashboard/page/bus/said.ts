/** What somebody said, as text to be shown. No more of it is kept than anybody reads at once. */
export interface Said {
  readonly text: string;
  /** It was JSON that isn't just a text. */
  readonly json: boolean;
  /** How long all of it is, in characters. */
  readonly length: number;
}

const MOST_KEPT = 20_000;

/** JSON this short reads best without a line for each of its values. */
const SHORT = 400;

export function said(value: unknown, most = MOST_KEPT): Said {
  const json = typeof value !== "string";
  const text = typeof value === "string" ? value : laidOut(value);
  return { text: text.length > most ? wellFormed(text.slice(0, most)) : text, json, length: text.length };
}

function laidOut(value: unknown): string {
  const lines = JSON.stringify(value, null, 2) ?? "";
  if (lines.length > 2 * SHORT) return lines;
  // A line feed inside a text of it is written \n there, so these are all between its values.
  const line = lines
    .replace(/([[{])\n +/g, "$1")
    .replace(/\n *([\]}])/g, "$1")
    .replace(/\n +/g, " ");
  return line.length <= SHORT ? line : lines;
}

/** The beginning, on one line. */
export function preview({ text }: Said, most = 160): string {
  const start = text
    .slice(0, most * 2)
    .replace(/\s+/g, " ")
    .trim();
  return start.length > most || text.length > most * 2 ? `${wellFormed(start.slice(0, most))}…` : start;
}

/** A cut between the two halves of a character leaves neither. */
export function wellFormed(text: string): string {
  return /[\ud800-\udbff]$/.test(text) ? text.slice(0, -1) : text;
}
