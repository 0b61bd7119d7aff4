import type { Environment } from "./program.ts";

/** How much faster `fastClock` runs. Requests to a NATS server are bounded by the same clock, and take their time. */
export const clockSpeed = (process.env.IPC_STORE ?? process.env.TEST_STORE) === undefined ? 100 : 10;

/** A server's patience with a connection is shortened less: a busy machine takes its time to send a request. */
const serverSpeed = Math.min(20, clockSpeed);

/** Node's options for a program whose clocks all run faster. */
export const fastClock = [
  "--import",
  preload({ timers: clockSpeed, intervals: clockSpeed, uptime: clockSpeed, servers: serverSpeed }),
] as const;

/** The environment of a program whose clocks all run faster. */
export const fastClockEnvironment = environmentWith(fastClock[1]);

/** The environment of a server that is less patient with connections, and looks at them more often. */
export const impatientServer = environmentWith(preload({ intervals: 30, servers: 30 }));

/** The same for a server of sockets that aren't HTTP. */
export const impatientSockets = environmentWith(preload({ intervals: 30, sockets: 30 }));

function environmentWith(module: string): Environment {
  return { NODE_OPTIONS: `--no-warnings --import=${module}` };
}

function preload(speeds: Readonly<Record<string, number>>): string {
  const query = Object.entries(speeds).map(([clock, speed]) => `${clock}=${speed}`);
  return new URL(`fast-clock-preload.ts?${query.join("&")}`, import.meta.url).href;
}

/** Half seconds counted by this process until the promise settles. A busy machine delays the count as much as the event. */
export async function countHalfSeconds(until: Promise<unknown>): Promise<number> {
  let count = 0;
  const clock = setInterval(() => {
    count++;
  }, 500);
  await until.finally(() => clearInterval(clock));
  return count;
}
