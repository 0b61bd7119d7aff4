import { type Figure, figure, type Unit } from "./figures.ts";

/** One of those that are measured beside each other: does the work once and answers with what it took. */
export type Contender = () => number | Promise<number>;

export interface Rounds {
  readonly unit: Unit;
  readonly rounds: number;
  /** First rounds that don't count: caches fill, processors wake up. */
  readonly dropped: number;
}

type Contenders = Readonly<Record<string, Contender | undefined>>;

type Figures<C extends Contenders> = { readonly [N in keyof C]: C[N] extends Contender ? Figure : Figure | undefined };

/**
 * Measures contenders in turn, forwards and backwards, so that what disturbs the machine disturbs them alike. One that
 * isn't there is left out.
 */
export async function inTurn<C extends Contenders>(
  contenders: C,
  { unit, rounds, dropped }: Rounds,
): Promise<Figures<C>> {
  const there = Object.entries(contenders).flatMap(([name, measure]) =>
    measure === undefined ? [] : [{ name, measure, samples: [] as number[] }],
  );
  for (let round = 0; round < rounds + dropped; round++) {
    for (const { measure, samples } of round % 2 === 0 ? there : there.toReversed()) {
      const sample = await measure();
      if (round >= dropped) samples.push(sample);
    }
  }
  return Object.fromEntries(there.map(({ name, samples }) => [name, figure(unit, samples)])) as Figures<C>;
}
