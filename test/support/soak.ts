import { type TestContext, type TestOptions, test } from "node:test";

const isSoak = process.env.SOAK !== undefined;

/**
 * How much of something a test does: a little in `npm test`, much in `npm run test:soak`, which runs the files that import
 * this one. A variable of the environment wins over both.
 */
export function amount(quick: number, soak: number, variable = ""): number {
  return Number(process.env[variable] ?? (isSoak ? soak : quick));
}

/** Registers a test that runs only in `npm run test:soak`, because `npm test` has a smaller one like it. */
export function soakTest(title: string, options: TestOptions, run: (t: TestContext) => Promise<void>): void {
  if (isSoak) test(title, options, run);
}
