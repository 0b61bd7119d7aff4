import assert from "node:assert/strict";

/** A fenced block. */
export interface Block {
  readonly language: string;
  readonly text: string;
  /** Whether nothing but empty lines stands between it and the block before. */
  readonly follows: boolean;
}

export function blocksOf(text: string): Block[] {
  const found = [...text.matchAll(/^```(\w*)\n(.*?)\n?^```$/gms)];
  return found.map(({ 1: language = "", 2: inside = "", index }, position) => {
    const before = found[position - 1];
    const end = before === undefined ? 0 : before.index + before[0].length;
    return { language, text: inside, follows: before !== undefined && text.slice(end, index).trim() === "" };
  });
}

/** The text under a heading, with the headings below it. */
export function section(text: string, heading: string): string {
  const lines = text.split("\n");
  const depths = headingDepths(lines);
  const start = lines.findIndex((line, index) => depths[index] !== 0 && line.replace(/^#+ /, "") === heading);
  assert.notEqual(start, -1, `there is a section "${heading}"`);
  const depth = depths[start] ?? 0;
  const end = depths.findIndex((other, index) => index > start && other > 0 && other <= depth);
  return lines.slice(start, end === -1 ? undefined : end).join("\n");
}

/** How deep the heading on each line is; 0 where there is none. */
function headingDepths(lines: readonly string[]): number[] {
  let code = false;
  return lines.map((line) => {
    if (line.startsWith("```")) code = !code;
    return code ? 0 : (/^#+(?= )/.exec(line)?.[0].length ?? 0);
  });
}

export function withoutBlocks(text: string): string {
  return text.replace(/^```.*?^```$/gms, "");
}

/** The rows of the tables in a text, without their heads. */
export function rowsOf(text: string): string[][] {
  return [...text.matchAll(/^\|[ :|-]+\|\n((?:\|.*\|\n)+)/gm)].flatMap(([, rows = ""]) =>
    rows
      .trimEnd()
      .split("\n")
      .map((row) =>
        row
          .replace(/^\|/, "")
          .split(/(?<!\\)\|/)
          .map((cell) => cell.trim()),
      ),
  );
}

export function codeIn(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code);
}

/** The anchors of a document's headings, as GitHub makes them. */
export function anchorsOf(text: string): string[] {
  return [...withoutBlocks(text).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}
