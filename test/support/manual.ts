import { readFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "../plugin/support.ts";

/** What a user reads, each page by itself: the README first, then those that it leads to. */
const pages = [
  "README.md",
  "docs/commands.md",
  "docs/http.md",
  "docs/mcp.md",
  "docs/secure-mode.md",
  "docs/environment.md",
  "docs/troubleshooting.md",
  "docs/moving.md",
] as const;

type Page = (typeof pages)[number];

function textOf(page: Page): string {
  return readFileSync(join(repository, page), "utf8");
}

export const manual = { pages, textOf };
