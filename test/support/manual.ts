import { readFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "../plugin/support.ts";

/** The pages of the manual: the README, and the pages that it leads to. */
const pages = [
  "README.md",
  "docs/commands.md",
  "docs/sessions.md",
  "docs/delivery.md",
  "docs/backup.md",
  "docs/dashboard.md",
  "docs/sockets.md",
  "docs/claude-code.md",
  "docs/other-machines.md",
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
