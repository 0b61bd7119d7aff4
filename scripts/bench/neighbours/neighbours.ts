import { accessSync, constants } from "node:fs";
import { connect, createServer } from "node:net";
import { delimiter, join } from "node:path";
import { pause, type Running } from "../processes.ts";

/** Where the servers are that are measured beside us; undefined for one that isn't installed. */
export interface Neighbours {
  readonly redis: string | undefined;
  readonly nats: string | undefined;
  readonly mosquitto: string | undefined;
}

export function findNeighbours(): Neighbours {
  return { redis: find("redis-server"), nats: find("nats-server"), mosquitto: find("mosquitto") };
}

/** A neighbour's server, started by us. */
export interface Neighbour extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
}

const REACHED_MS = 10_000;

/** A server that was started on this port, once it takes connections. */
export async function reached(program: Running, port: number): Promise<Neighbour> {
  for (const until = performance.now() + REACHED_MS; performance.now() < until; await pause(20)) {
    if (await answers(port)) return { port, pid: program.pid, [Symbol.asyncDispose]: program[Symbol.asyncDispose] };
  }
  await program[Symbol.asyncDispose]();
  throw new Error(`the server on port ${port} doesn't answer`);
}

/** A port that was free just now, for servers that can't be told to take any. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (typeof address === "object" && address !== null) return address.port;
  throw new Error("there is no free port");
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const end = (connected: boolean) => {
      socket.destroy();
      resolve(connected);
    };
    socket.on("connect", () => end(true));
    socket.on("error", () => end(false));
  });
}

/** Servers are often in folders that only root has on its PATH. */
function find(program: string): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin"];
  return folders.map((folder) => join(folder, program)).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
