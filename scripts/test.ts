// Runs the tests: all of them, or the files and folders named. `npm run test:only -- test/core`
// With --soak it runs those that have a longer version, at full length.
// TEST_STORE=nats has them keep their buses on a NATS server, which is started for them.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync, readFileSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { startNats } from "../test/support/nats-server.ts";

const { values, positionals: named } = parseArgs({ options: { soak: { type: "boolean" } }, allowPositionals: true });
const soak = values.soak === true;

/** Files that take longest begin first, so that none of them runs alone at the end. */
const longest = [
  "test/storage/nats-cluster.test.ts",
  "test/storage/nats.test.ts",
  "test/every-surface.test.ts",
  "test/sessions/cli.test.ts",
  "test/delivery/killed.test.ts",
  "test/history/history.test.ts",
  "test/storage/sqlite.test.ts",
  "test/sessions/secure.test.ts",
  "test/dashboard/live.test.ts",
  "test/dashboard/door.test.ts",
  "test/surfaces/cli-remote.test.ts",
  "test/library.test.ts",
];

const found = (named.length === 0 ? ["test"] : named).flatMap((path) =>
  statSync(path).isDirectory() ? globSync(`${path}/**/*.test.ts`) : [path],
);
const files = found.filter((file) => !soak || readFileSync(file, "utf8").includes("support/soak.ts")).sort();
const ordered = [...longest.filter((file) => files.includes(file)), ...files.filter((file) => !longest.includes(file))];

// Variables of a coding agent that runs this, and settings of its user, must not reach the programs under test.
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(CLAUDE|IPC_|EL_IPC_|XDG_|NODE_EXTRA_CA_CERTS)/.test(name)),
);
if (soak) environment.SOAK = "1";

// Node strips the types of each file once instead of once a process.
environment.NODE_COMPILE_CACHE ??= fileURLToPath(new URL("../node_modules/.cache/tests", import.meta.url));

const store = process.env.TEST_STORE;
if (store !== undefined && store !== "nats") throw new Error(`TEST_STORE may be nats, not ${store}`);
await using server = store === undefined ? undefined : await startNats();
if (server !== undefined) {
  Object.assign(environment, {
    TEST_STORE: `nats://127.0.0.1:${server.port}`,
    TEST_MONITOR: server.monitor,
  });
}

// Most of a test is waiting, so that each processor can run two. What soaks uses all of them by itself.
const atOnce = soak ? 1 : 2 * Math.min(availableParallelism(), 8);
const timeout = soak ? 600_000 : 120_000;

const tests = spawn(
  process.execPath,
  [
    "--import",
    "./scripts/load-sql.ts",
    "--import",
    "./test/support/watchdog.ts",
    "--test",
    `--test-timeout=${timeout}`,
    `--test-concurrency=${atOnce}`,
    ...ordered,
  ],
  { stdio: "inherit", env: environment },
);
const [code] = await once(tests, "exit");
process.exitCode = code ?? 1;
