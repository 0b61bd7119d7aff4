import type { Bus } from "./bus.ts";
import { notFound } from "./errors.ts";
import type { Json, Signal } from "./store.ts";
import { signalTopic, waitFor } from "./waiting.ts";

export async function setSignal(
  bus: Bus,
  { name, data, sender }: { name: string; data: Json; sender: string },
): Promise<Signal> {
  const signal = { name, data, sender, setAt: bus.now() };
  await bus.store.signals.set(signal);
  bus.notify(signalTopic(name));
  return signal;
}

export async function getSignal(bus: Bus, name: string): Promise<Signal> {
  const signal = await bus.store.signals.get(name);
  if (signal === undefined) throw signalNotSet(name);
  return signal;
}

export function getSignals(bus: Bus): Promise<readonly Signal[]> {
  return bus.store.signals.list();
}

/** Answers at once if the signal is set already; with undefined once the time is up. */
export function waitForSignal(
  bus: Bus,
  { name, seconds }: { name: string; seconds: number | undefined },
  signal: AbortSignal,
): Promise<Signal | undefined> {
  return waitFor(bus, { topic: signalTopic(name), seconds, signal }, () => bus.store.signals.get(name));
}

export async function clearSignal(bus: Bus, name: string): Promise<void> {
  if (!(await bus.store.signals.clear(name))) throw signalNotSet(name);
  bus.notify();
}

function signalNotSet(name: string): Error {
  return notFound(`The signal ${name} is not set`);
}
