// The run that the documents show: docs/performance.json, and the tables made from it.
import { readFileSync, writeFileSync } from "node:fs";
import { allFigures, fill, headlineFigures } from "./pages.ts";
import { type Report, readReport } from "./report.ts";

const KEPT = "docs/performance.json";

/** The pages that show it, each with the text between its two marks. */
const PAGES = [
  { path: "docs/performance.md", name: "all figures", made: allFigures },
  { path: "README.md", name: "six figures", made: headlineFigures },
];

export function keptReport(): Report {
  return readReport(readFileSync(fileAt(KEPT), "utf8"));
}

/** Each page as it is, and as it should be. */
export function keptPages(): { path: string; is: string; shouldBe: string }[] {
  const report = keptReport();
  return PAGES.map(({ path, name, made }) => {
    const is = readFileSync(fileAt(path), "utf8");
    return { path, is, shouldBe: fill(is, name, made(report)) };
  });
}

export function keep(report: Report): void {
  writeFileSync(fileAt(KEPT), keptText(report));
  renderPages();
}

export function renderPages(): void {
  for (const { path, shouldBe } of keptPages()) writeFileSync(fileAt(path), shouldBe);
}

/** One line for each row, so that a diff shows which figures changed. */
export function keptText({ lines, ...about }: Report): string {
  const rows = lines.map((row) => `    ${JSON.stringify(row)}`).join(",\n");
  const fields = Object.entries(about).map(([name, value]) => `  "${name}": ${JSON.stringify(value)},`);
  return ["{", ...fields, `  "lines": [\n${rows}\n  ]`, "}\n"].join("\n");
}

function fileAt(path: string): URL {
  return new URL(`../../${path}`, import.meta.url);
}
