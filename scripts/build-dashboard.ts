// Builds the dashboard's page, to be put beside the program that serves it.
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { build } from "esbuild";
import { operations } from "../src/operations/index.ts";

const page = "src/surfaces/dashboard/page";

/** The page asks for operations by their names; the table says where HTTP has them. */
const routes = Object.fromEntries(
  operations.flatMap(({ name, http, access, input }) =>
    http === undefined ? [] : [[name, { http, access: access.level, body: input.body }]],
  ),
);

export async function buildDashboard(root: string): Promise<{ to: string; text: string }[]> {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: { dashboard: `${page}/main.tsx` },
    outdir: "sources.d",
    bundle: true,
    write: false,
    platform: "browser",
    format: "iife",
    target: ["es2023", "chrome123", "firefox128", "safari17.5"],
    charset: "utf8",
    legalComments: "none",
    minify: true,
    jsx: "automatic",
    jsxImportSource: "preact",
    tsconfigRaw: {},
    define: { ROUTES: JSON.stringify(routes) },
  });
  return [
    ...outputFiles.map(({ path, text }) => ({ to: `sources.d/${basename(path)}`, text })),
    { to: "sources.d/dashboard.html", text: readFileSync(`${root}/${page}/dashboard.html`, "utf8") },
  ];
}
