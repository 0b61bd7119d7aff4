import { number, show } from "./figures.ts";
import { type Line, ratioOf, verdict } from "./lines.ts";

const HEADS = ["work", "ours", "beside", "ratio", "target", ""];

/** The lines as a table for a terminal. What was said in the line above isn't said again. */
export function table(lines: readonly Line[]): string {
  const rows = lines.map((line, index) => {
    const above = lines[index - 1];
    const { work, ours, beside } = line;
    const repeated = above?.work === work && above.ours === ours;
    const ratio = ratioOf(line);
    return [
      above?.work === work ? "" : work,
      repeated ? "" : show(ours),
      besideText(beside),
      ratio === undefined ? "" : line.target?.share ? number(ratio) : `${number(ratio)}×`,
      line.target?.text ?? "",
      verdict(line),
    ];
  });
  const widths = HEADS.map((head, column) => Math.max(...[HEADS, ...rows].map((row) => (row[column] ?? head).length)));
  const aligned = [HEADS, widths.map((width) => "─".repeat(width)), ...rows].map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  return aligned.join("\n");
}

function besideText(beside: Line["beside"]): string {
  if (beside === undefined) return "";
  return beside.figure === undefined ? `${beside.name}: not here` : `${beside.name} ${show(beside.figure)}`;
}
