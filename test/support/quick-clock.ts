// Imported by a Node before the program: its clock runs a hundred times as fast, so that a wait of 30 s takes 0.3 s.
import http from "node:http";

const SPEED = 100;

/** What a server gives a connection is shortened less: a busy machine takes its time to send a request. */
const SERVER_SPEED = 20;

const { setTimeout, setInterval } = globalThis;
Object.assign(globalThis, {
  setTimeout: (run: () => void, ms = 0) => setTimeout(run, ms / SPEED),
  setInterval: (run: () => void, ms = 0) => setInterval(run, ms / SPEED),
});

const { uptime } = process;
process.uptime = () => uptime() * SPEED;

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
