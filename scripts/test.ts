// Runs the tests: all of them, or the files and folders named. `npm run test:only -- test/core`
// TEST_STORE=nats has them keep their buses on a NATS server, which is started for them.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { startNats } from "../test/support/nats-server.ts";

const named = process.argv.slice(2);
const files = (named.length === 0 ? ["test"] : named).flatMap((path) =>
  statSync(path).isDirectory() ? globSync(`${path}/**/*.test.ts`) : [path],
);

// What a coding agent that runs this says of itself must not reach what the tests start, nor what its user has set.
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(CLAUDE|IPC_|EL_IPC_|XDG_|NODE_EXTRA_CA_CERTS)/.test(name)),
);

const wanted = process.env.TEST_STORE;
if (wanted !== undefined && wanted !== "nats") throw new Error(`TEST_STORE may be nats, not ${wanted}`);
await using server = wanted === undefined ? undefined : await startNats();
if (server !== undefined) {
  Object.assign(environment, {
    TEST_STORE: `nats://127.0.0.1:${server.port}`,
    TEST_MONITOR: server.monitor,
  });
}

// Most of a test is waiting: on two processors, too, two files run at a time.
const atOnce = Math.max(2, availableParallelism() - 1);

const tests = spawn(
  process.execPath,
  [
    "--import",
    "./scripts/load-sql.ts",
    "--import",
    "./test/support/must-end.ts",
    "--test",
    "--test-timeout=120000",
    `--test-concurrency=${atOnce}`,
    ...files.sort(),
  ],
  { stdio: "inherit", env: environment },
);
const [code] = await once(tests, "exit");
process.exitCode = code ?? 1;
