import { elapsed } from "./clock.ts";
import type { Topic, Wakeup } from "./wakeup.ts";

export interface Wait {
  readonly wakeup: Wakeup;
  readonly topic: Topic;
  readonly signal: AbortSignal;
  /** How long to wait in all; forever where it doesn't say. */
  readonly milliseconds?: number | undefined;
  /** How long it may sleep at most before it looks again, where something can come about by time alone. */
  readonly pause?: () => Promise<number | undefined>;
}

/**
 * The one blocking loop of the program: arm the bell, look, sleep, look again. Yields each thing that `look` finds, as
 * soon as it is there; ends when the time is up or the signal aborts.
 */
export async function* waiting<T>(wait: Wait, look: () => Promise<T | undefined>): AsyncGenerator<T, void, void> {
  // A look before the bell is armed: who finds something at once never pays for a bell.
  for (let found = await look(); found !== undefined; found = await look()) {
    if (wait.signal.aborted) return;
    yield found;
  }
  const end = wait.milliseconds === undefined ? Number.POSITIVE_INFINITY : elapsed() + wait.milliseconds;
  using bell = wait.wakeup.arm(wait.topic);
  while (!wait.signal.aborted) {
    const found = await look();
    if (found !== undefined) {
      yield found;
      continue;
    }
    const left = end - elapsed();
    if (left <= 0) return;
    const pause = (await wait.pause?.()) ?? left;
    await bell.rung(wait.signal, Math.min(left, Math.max(0, pause)));
  }
}
