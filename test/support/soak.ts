const isSoak = process.env.SOAK !== undefined;

/**
 * How much of something a test does: a little in `npm test`, much in `npm run test:soak`, which runs the files that import
 * this one. A variable of the environment wins over both.
 */
export function amount(quick: number, soak: number, variable = ""): number {
  return Number(process.env[variable] ?? (isSoak ? soak : quick));
}

/** For a test of which `npm test` runs a smaller one. */
export const onlyInSoak = { skip: !isSoak && "part of `npm run test:soak`" };
