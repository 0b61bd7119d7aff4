// Imported by a Node before the program: what its server waits for, or looks at again, takes a thirtieth of its time.
import http from "node:http";

const SPEED = 30;

const { setInterval } = globalThis;
Object.assign(globalThis, {
  setInterval: (run: () => void, ms = 0) => setInterval(run, ms / SPEED),
});

const { createServer } = http;
Object.assign(http, {
  createServer(options: Readonly<Record<string, unknown>>, handle: http.RequestListener) {
    const hurried = Object.entries(options).map(([name, value]) => {
      const time = typeof value === "number" && /Timeout$|Interval$/.test(name);
      return [name, time ? Math.ceil(value / SPEED) : value];
    });
    return createServer(Object.fromEntries(hurried), handle);
  },
});
