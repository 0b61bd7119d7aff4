import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { TemporaryBus } from "./bus.ts";
import { until } from "./program.ts";

/** Until somebody waits for a message of this bus. */
export async function armed(bus: TemporaryBus): Promise<void> {
  await until(() => (bus.environment.IPC_STORE === undefined ? hasBells(bus) : hasListeners(bus)), "a waiter");
  await sleep(50);
}

function hasBells(bus: TemporaryBus): boolean {
  return existsSync(bus.file("bus.db-bells"));
}

/** The server that the tests have started says who listens to what. */
async function hasListeners({ environment: { IPC_STORE = "" } }: TemporaryBus): Promise<boolean> {
  const answer = await fetch(`${process.env.TEST_MONITOR}/subsz?subs=1&limit=100000`);
  return (await answer.text()).includes(`"${new URL(IPC_STORE).pathname.slice(1)}.bell.`);
}
