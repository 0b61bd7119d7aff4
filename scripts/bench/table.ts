import { show } from "./figures.ts";
import { ratioText } from "./pages.ts";
import type { Row } from "./report.ts";

const HEADS = ["work", "ours", "beside", "ratio", "target", ""];

/** The rows as a table for a terminal. A row doesn't repeat what the row above says. */
export function table(rows: readonly Row[]): string {
  const cells = rows.map((row, index) => {
    const above = rows[index - 1];
    const { work, ours, beside } = row;
    const repeated = above?.work === work && show(above.ours) === show(ours);
    return [
      above?.work === work ? "" : work,
      repeated ? "" : show(ours),
      besideText(beside),
      ratioText(row),
      row.target ?? "",
      row.verdict,
    ];
  });
  const widths = HEADS.map((head, column) => Math.max(...[HEADS, ...cells].map((row) => (row[column] ?? head).length)));
  const aligned = [HEADS, widths.map((width) => "─".repeat(width)), ...cells].map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  return aligned.join("\n");
}

function besideText(beside: Row["beside"]): string {
  if (beside === undefined) return "";
  return beside.figure === undefined ? `${beside.name}: not here` : `${beside.name} ${show(beside.figure)}`;
}
