// Imported by a Node before the program: what its sockets wait for, and what it does again and again, takes a thirtieth.
import { Socket } from "node:net";

const SPEED = 30;

const { setInterval } = globalThis;
Object.assign(globalThis, {
  setInterval: (run: () => void, ms = 0) => setInterval(run, ms / SPEED),
});

const { setTimeout } = Socket.prototype;
Socket.prototype.setTimeout = function hurried(ms, run) {
  return setTimeout.call(this, ms / SPEED, run);
};
