import { existsSync, readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { TemporaryBus } from "./bus.ts";
import { until } from "./program.ts";

/** Until somebody waits for a message of this bus. */
export async function armed(bus: TemporaryBus): Promise<void> {
  await bellsHang(bus, 1);
  await sleep(50);
}

/** Until somebody waits for so many different things. */
export async function bellsHang(bus: TemporaryBus, count: number): Promise<void> {
  const bells = bus.environment.IPC_STORE === undefined ? bellFiles : bellSubjects;
  await until(async () => (await bells(bus)) >= count, `${count} bells`);
}

function bellFiles(bus: TemporaryBus): number {
  const folder = bus.file("bus.db-bells");
  return existsSync(folder) ? readdirSync(folder).length : 0;
}

/** The server that the tests have started says who listens to what. */
async function bellSubjects({ environment: { IPC_STORE = "" } }: TemporaryBus): Promise<number> {
  const answer = await fetch(`${process.env.TEST_MONITOR}/subsz?subs=1&limit=100000`);
  const bell = new RegExp(`"${new URL(IPC_STORE).pathname.slice(1)}\\.bell\\.[^"]+"`, "g");
  return new Set((await answer.text()).match(bell)).size;
}
