// Imported by a Node before the program: ends it with SIGKILL at the moment that DIES_AT names, for the first time that it
// comes to it.
import fs from "node:fs";
import http from "node:http";
import { syncBuiltinESMExports } from "node:module";
import net from "node:net";

const { openSync, writeSync } = fs;
const { write } = net.Socket.prototype;
const STDOUT = 1;
const RUNG_ON_NATS = /^PUB [^ ]+\.bell\./m;

function die(): never {
  process.kill(process.pid, "SIGKILL");
  for (;;);
}

const moments: Readonly<Record<string, () => void>> = {
  /** All of an answer is written, and nothing follows from it yet. */
  printed: () =>
    Object.assign(fs, {
      writeSync(file: number, bytes: Buffer, from = 0) {
        const written = writeSync(file, bytes, from);
        if (file === STDOUT && from + written === bytes.length) die();
        return written;
      },
    }),
  "half printed": () =>
    Object.assign(fs, {
      writeSync(file: number, bytes: Buffer, from = 0) {
        if (file !== STDOUT) return writeSync(file, bytes, from);
        writeSync(file, bytes.subarray(0, bytes.length / 2));
        return die();
      },
    }),
  /** The message is stored, and neither its waiters nor its sender have heard of it. */
  stored: () => {
    Object.assign(fs, {
      openSync(path: string, flags: number, mode?: number) {
        if (String(path).includes("-bells/") && (flags & fs.constants.O_CREAT) === 0) die();
        return openSync(path, flags, mode);
      },
    });
    Object.assign(net.Socket.prototype, {
      write(this: net.Socket, ...written: Parameters<typeof write>) {
        if (RUNG_ON_NATS.test(Buffer.from(written[0]).toString("latin1"))) die();
        return write.apply(this, written);
      },
    });
  },
  /** The answer is with the operating system, and nothing follows from it yet. */
  answered: () => {
    const { end } = http.ServerResponse.prototype;
    Object.assign(http.ServerResponse.prototype, {
      end(this: http.ServerResponse, ...answer: Parameters<typeof end>) {
        if (this.req.url?.startsWith("/health") !== true) this.once("finish", die);
        return end.apply(this, answer);
      },
    });
  },
};

moments[process.env.DIES_AT ?? ""]?.();
syncBuiltinESMExports();
