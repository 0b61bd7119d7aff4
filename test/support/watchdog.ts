// Loaded into each test file's process. `--test-timeout` bounds tests, but neither hooks nor files: what a failed test leaves
// open would keep its file's process, and so the whole run, for ever.
import { after } from "node:test";

const WHOLE_FILE_MS = 8 * 60_000;
const AFTER_TESTS_MS = 30_000;

function endWithin(milliseconds: number, words: string): void {
  setTimeout(() => {
    process.stderr.write(`${words}; still open: ${process.getActiveResourcesInfo().join(", ")}\n`);
    process.exit(1);
  }, milliseconds).unref();
}

// In the process that starts the others there is no test of its own to wait for.
if (process.env.NODE_TEST_CONTEXT !== undefined) {
  endWithin(WHOLE_FILE_MS, "the tests of this file haven't ended");
  after(() => endWithin(AFTER_TESTS_MS, "every test of this file has ended, but its process doesn't"));
}
