import assert from "node:assert/strict";
import { test } from "node:test";
import { THIS_PROCESS } from "../../src/core/access.ts";
import { isIpcError } from "../../src/core/errors.ts";
import { operations } from "../../src/operations/index.ts";
import { ipcTool } from "../../src/operations/ipc.ts";
import { isStream, parseRequest } from "../../src/operations/operation.ts";
import { perform } from "../../src/operations/perform.ts";
import { optionsOf, parseArguments } from "../../src/surfaces/cli/arguments.ts";
import { helpOf } from "../../src/surfaces/cli/help.ts";
import { temporaryBus } from "../support/bus.ts";
import { start } from "../support/program.ts";
import { amount } from "../support/soak.ts";
import { openLocalBus } from "../support/store.ts";
import { type Chance, createChance } from "./random.ts";

const LISTS = amount(2_000, 20_000);
const INPUTS = amount(1_000, 10_000);
const PROCESSES = amount(30, 300);

/** Programs that serve, follow or wait are asked to end after the first time, and killed after the second. */
const PATIENCE_MS = 2_000;
const MAX_MS = 15_000;

const flags = [...new Set(operations.flatMap((operation) => optionsOf(operation).map(({ flag }) => flag)))];

/** Words as somebody might type them, or a program that goes wrong. */
function words(chance: Chance): string[] {
  return Array.from({ length: chance.below(8) }, () => {
    const kind = chance.below(8);
    if (kind < 3) return chance.text(20);
    if (kind === 3) return `--${chance.pick(flags)}`;
    if (kind === 4) return `--${chance.pick(flags)}=${chance.text(10)}`;
    if (kind === 5) return `${chance.pick(["-", "--", "---", "--no-"])}${chance.text(10)}`;
    return chance.pick(["room", "herald", "5", "-", "--", "0", "hello world"]);
  });
}

/** A failure must be a sentence for the user. */
async function expectSentence(said: string, act: () => Promise<void>): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (error) {
    if (!isIpcError(error) || error.code === "internal" || error.message === "") {
      throw new Error(`${said} ended with a fault`, { cause: error });
    }
    return false;
  }
}

test(`${LISTS} argument lists and ${INPUTS} inputs are done or refused in a sentence`, async (t) => {
  const chance = createChance();
  t.diagnostic(`FUZZ_SEED=${chance.seed}`);
  using folder = temporaryBus();
  await using bus = await openLocalBus({ path: folder.file("bus.db"), durability: "normal" });
  const context = { caller: THIS_PROCESS, signal: AbortSignal.abort() };
  let done = 0;

  for (let count = 0; count < LISTS + INPUTS; count++) {
    const operation = chance.pick([...operations, ipcTool].filter(({ storeless }) => !storeless));
    const typed = words(chance);
    const said = `FUZZ_SEED=${chance.seed} ${operation.name} ${JSON.stringify(typed)}`;
    const input = () =>
      count < LISTS ? parseArguments(operation, typed, chance.often(0.3) ? "me" : undefined).input : chance.json();
    const good = await expectSentence(said, async () => {
      const answer = await perform(bus, parseRequest(operation, input()), context);
      const answers = isStream(answer) ? await Array.fromAsync(answer) : [answer];
      for (const one of answers) assert.equal(typeof JSON.stringify(one), "string");
    });
    if (good) done++;
  }
  t.diagnostic(`${done} were done`);
  const some = (LISTS + INPUTS) / 60;
  assert.ok(done > some && done < LISTS + INPUTS - some);
  for (const operation of operations) assert.ok(helpOf(operation).length > 0);
});

test(`${PROCESSES} programs with such arguments end, print no stack trace, and break nothing`, async (t) => {
  const chance = createChance();
  t.diagnostic(`FUZZ_SEED=${chance.seed}`);
  using bus = temporaryBus();
  const verbs = ["serve", "help", ...operations.map(({ name }) => name)];
  // Neither a path outside of the test's folder nor a server for all to reach.
  const harmless = (word: string) => word.replaceAll(/[/\0]|insecure|host/g, "x");
  const trials = Array.from({ length: PROCESSES }, () => ({
    typed: [...(chance.often(0.9) ? [chance.pick(verbs)] : []), ...words(chance)].map(harmless),
    input: chance.often(0.5) ? chance.text(50) : chance.bytes(50),
  }));

  const worker = async (): Promise<void> => {
    for (let trial = trials.pop(); trial !== undefined; trial = trials.pop()) {
      const { typed, input } = trial;
      await using program = start(typed, { ...bus.environment, IPC_PORT: "0" }, { input, cwd: bus.file(".") });
      const waits = setTimeout(() => program.child.kill("SIGTERM"), PATIENCE_MS);
      const late = setTimeout(() => program.child.kill("SIGKILL"), MAX_MS);
      const { code, stderr } = await program.ended;
      clearTimeout(waits);
      clearTimeout(late);
      const said = `FUZZ_SEED=${chance.seed} ${JSON.stringify(typed)} ended with ${code}: ${stderr}`;
      const ended = code === 0 || code === 1 || code === 143 || program.child.signalCode === "SIGTERM";
      assert.ok(ended, said);
      assert.doesNotMatch(stderr, /\n {4}at |node:internal|Internal error|Warning/, said);
      if (code === 1) assert.match(stderr, /^Error: ./, said);
    }
  };
  // Nobody is at work in the folder any more when it is removed.
  for (const worked of await Promise.allSettled(Array.from({ length: 8 }, worker))) {
    if (worked.status === "rejected") throw worked.reason;
  }
  assert.equal((await bus.run("channels")).code, 0);
});
