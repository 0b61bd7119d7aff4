import { fileURLToPath } from "node:url";
import { type Environment, type Program, start } from "./program.ts";

const loadSql = new URL("../../scripts/load-sql.ts", import.meta.url).href;

/** A file of the tests as a process of its own, which may use what is in src. */
export function startModule(module: URL, words: readonly string[], environment: Environment = {}): Program {
  return start(words, environment, { entry: fileURLToPath(module), node: ["--import", loadSql, "--no-warnings"] });
}
