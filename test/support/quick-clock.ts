// Imported by a Node before the program: its clock runs a hundred times as fast, so that a wait of 30 s takes 0.3 s; ten times on NATS.
import http from "node:http";
import { clockSpeed } from "./clock-speed.ts";

/** What a server gives a connection is shortened less: a busy machine takes its time to send a request. */
const SERVER_SPEED = Math.min(20, clockSpeed);

const { setTimeout, setInterval } = globalThis;
Object.assign(globalThis, {
  setTimeout: (run: () => void, ms = 0) => setTimeout(run, ms / clockSpeed),
  setInterval: (run: () => void, ms = 0) => setInterval(run, ms / clockSpeed),
});

const { uptime } = process;
process.uptime = () => uptime() * clockSpeed;

const { createServer } = http;
Object.assign(http, {
  createServer(options: Readonly<Record<string, unknown>>, handle: http.RequestListener) {
    const quick = Object.entries(options).map(([name, value]) => [
      name,
      typeof value === "number" ? value / SERVER_SPEED : value,
    ]);
    return createServer(Object.fromEntries(quick), handle);
  },
});
