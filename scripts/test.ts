// Runs the tests: all of them, or the files and folders named. `npm run test:only -- test/core`
import { spawnSync } from "node:child_process";
import { globSync, statSync } from "node:fs";

const named = process.argv.slice(2);
const files = (named.length === 0 ? ["test"] : named).flatMap((path) =>
  statSync(path).isDirectory() ? globSync(`${path}/**/*.test.ts`) : [path],
);

// What a coding agent that runs this says of itself must not reach what the tests start, nor what its user has set.
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(CLAUDE|IPC_|EL_IPC_|NODE_EXTRA_CA_CERTS)/.test(name)),
);

const { status } = spawnSync(
  process.execPath,
  ["--import", "./scripts/load-sql.ts", "--test", "--test-timeout=120000", ...files.sort()],
  { stdio: "inherit", env: environment },
);
process.exit(status ?? 1);
