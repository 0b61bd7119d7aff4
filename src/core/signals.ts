import type { Bus } from "./bus.ts";
import { notFound } from "./errors.ts";
import type { Json, Signal } from "./store.ts";
import { ANY_CHANGE, signalTopic, waiting } from "./waiting.ts";

export async function setSignal(
  bus: Bus,
  { name, data, sender }: { name: string; data: Json; sender: string },
): Promise<Signal> {
  const signal = { name, data, sender, setAt: bus.now() };
  await bus.store.signals.set(signal);
  bus.wakeup.ring(signalTopic(name));
  bus.wakeup.ring(ANY_CHANGE);
  return signal;
}

export async function getSignal(bus: Bus, name: string): Promise<Signal> {
  const signal = await bus.store.signals.get(name);
  if (signal === undefined) throw notFound(`The signal ${name} is not set`);
  return signal;
}

/** The signal, at once if it is set already; undefined when the time is up. */
export async function waitForSignal(
  bus: Bus,
  { name, seconds }: { name: string; seconds: number | undefined },
  signal: AbortSignal,
): Promise<Signal | undefined> {
  const milliseconds = seconds === undefined ? undefined : seconds * 1_000;
  const look = () => bus.store.signals.get(name);
  for await (const found of waiting({ wakeup: bus.wakeup, topic: signalTopic(name), signal, milliseconds }, look))
    return found;
  return undefined;
}

export async function clearSignal(bus: Bus, name: string): Promise<void> {
  if (!(await bus.store.signals.clear(name))) throw notFound(`The signal ${name} is not set`);
  bus.wakeup.ring(ANY_CHANGE);
}
