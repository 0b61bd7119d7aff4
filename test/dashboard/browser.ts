import assert from "node:assert/strict";
import { accessSync, constants, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";
import type { Browser, Page } from "playwright-core";

/**
 * A real browser, driven by playwright-core, and axe-core, which looks for what some people can't use. Both are found
 * where DASHBOARD_TOOLS says (a folder with node_modules in it) or beside the other packages; the browser on the PATH.
 */
interface Tools {
  readonly chromium: typeof import("playwright-core")["chromium"];
  readonly executablePath: string;
  readonly axe: string;
}

const tools = findTools();

/** Why these tests can't run here; false where they can. On CI they always must. */
export const skip: string | false = typeof tools === "string" ? tools : false;
if (process.env.CI !== undefined) assert.equal(skip, false);

function findTools(): Tools | string {
  const require = createRequire(join(process.env.DASHBOARD_TOOLS ?? process.cwd(), "package.json"));
  const executablePath = (process.env.PATH ?? "")
    .split(delimiter)
    .flatMap((folder) => ["chromium", "google-chrome", "chromium-browser"].map((name) => join(folder, name)))
    .find(isExecutable);
  if (executablePath === undefined) return "there is no Chromium on the PATH";
  try {
    const { chromium }: typeof import("playwright-core") = require("playwright-core");
    return { chromium, executablePath, axe: readFileSync(require.resolve("axe-core/axe.min.js"), "utf8") };
  } catch {
    return "playwright-core and axe-core are not here: install them in a folder, and name it in DASHBOARD_TOOLS";
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A browser for a file of tests, with a profile of its own that goes with it. */
export async function startBrowser(): Promise<Browser> {
  if (typeof tools === "string") throw new Error(tools);
  const { chromium, executablePath } = tools;
  return chromium.launch({ executablePath, headless: true, args: FLAGS });
}

export interface Look {
  readonly width?: number;
  readonly height?: number;
  readonly dark?: boolean;
  /** Complaints of the page that are expected, because the test is about them. */
  readonly expects?: RegExp;
}

export interface Visit extends AsyncDisposable {
  readonly page: Page;
  /** The requests that it made, as method and path. */
  readonly asked: readonly string[];
  /** The page's complaints. */
  readonly complaints: readonly string[];
}

/** Opens a page of a server in a profile of its own. A complaint on its console fails the test when it ends. */
export async function visit(browser: Browser, url: string, look: Look = {}): Promise<Visit> {
  const { width = 1440, height = 900, dark = false, expects } = look;
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: dark ? "dark" : "light" });
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  const complaints: string[] = [];
  const asked: string[] = [];
  const complain = (text: string) => {
    if (expects?.test(text) !== true) complaints.push(text);
  };
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complain(message.text());
  });
  page.on("pageerror", (error) => complain(String(error)));
  page.on("dialog", (dialog) => {
    complain(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("request", (request) => asked.push(`${request.method()} ${request.url().replace(/^https?:\/\/[^/]+/, "")}`));
  await page.goto(`${url}/dashboard`);
  return {
    page,
    asked,
    complaints,
    async [Symbol.asyncDispose]() {
      await context.close();
      assert.deepEqual(complaints, []);
    },
  };
}

/** Waits until the page shows that it hears of everything. */
export async function live(page: Page): Promise<void> {
  await page.locator(".pill.live").waitFor();
}

/** The findings of axe that are serious or worse, one line each. */
export async function seriousFaults(page: Page): Promise<readonly string[]> {
  if (typeof tools === "string") throw new Error(tools);
  await page.evaluate(`${tools.axe}; undefined`);
  const found = await page.evaluate(`axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) =>
    violations.filter(({ impact }) => impact === "serious" || impact === "critical")
      .flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => id + " " + target.join(" ") + ": " + failureSummary)))`);
  return Array.isArray(found) ? found.map(String) : ["axe gave no answer"];
}

export function panel(page: Page, name: string) {
  return page.getByRole("region", { name: new RegExp(`^${name}`) }).first();
}
