import { fileURLToPath } from "node:url";
import { type Environment, type Program, type Starting, start } from "./program.ts";

const loadSql = new URL("../../scripts/load-sql.ts", import.meta.url).href;

/** A file of the tests as a process of its own, which may use what is in src. */
export function startModule(
  module: URL,
  words: readonly string[],
  environment: Environment = {},
  starting: Starting = {},
): Program {
  const node = ["--import", loadSql, "--no-warnings"];
  return start(words, environment, { ...starting, entry: fileURLToPath(module), node });
}
