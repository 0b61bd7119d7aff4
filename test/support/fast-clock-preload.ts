// Imported by Node before the program: makes its clocks run faster, so that a wait of 30 s takes a test 0.3 s. The query
// names each clock and its speed, as in `?timers=100&uptime=100`; clock.ts makes the URL.
import http from "node:http";
import { Socket } from "node:net";

const speeds = [...new URL(import.meta.url).searchParams].map(([clock, speed]) => [clock, Number(speed)] as const);

const { setTimeout, setInterval } = globalThis;
const { uptime } = process;
const { createServer } = http;
const { setTimeout: setSocketTimeout } = Socket.prototype;

const clocks: Readonly<Record<string, (speed: number) => void>> = {
  timers: (speed) =>
    Object.assign(globalThis, { setTimeout: (run: () => void, ms = 0) => setTimeout(run, ms / speed) }),
  intervals: (speed) =>
    Object.assign(globalThis, { setInterval: (run: () => void, ms = 0) => setInterval(run, ms / speed) }),
  uptime: (speed) => {
    process.uptime = () => uptime() * speed;
  },
  /** The timeouts of an HTTP server, and how often it checks them. */
  servers: (speed) =>
    Object.assign(http, {
      createServer(options: Readonly<Record<string, unknown>>, handle: http.RequestListener) {
        const faster = Object.entries(options).map(([name, value]) => {
          const isTime = typeof value === "number" && /Timeout$|Interval$/.test(name);
          return [name, isTime ? Math.ceil(value / speed) : value];
        });
        return createServer(Object.fromEntries(faster), handle);
      },
    }),
  sockets: (speed) => {
    Socket.prototype.setTimeout = function setFasterTimeout(ms, run) {
      return setSocketTimeout.call(this, ms / speed, run);
    };
  },
};

for (const [clock, speed] of speeds) clocks[clock]?.(speed);
