import { connect } from "node:net";
import type { Folder } from "../folder.ts";
import { start } from "../processes.ts";
import type { Durability } from "../program.ts";
import { freePort, type Neighbour, reached } from "./neighbours.ts";

/** A Redis whose log is written to the disk with each command (FULL), or each second. */
export async function startRedis(program: string, folder: Folder, durability: Durability): Promise<Neighbour> {
  const port = await freePort();
  const settings = {
    port,
    bind: "127.0.0.1",
    dir: folder.path,
    appendonly: "yes",
    appendfsync: durability === "full" ? "always" : "everysec",
    save: "",
    daemonize: "no",
    maxclients: 15_000,
    "tcp-backlog": 4_096,
    loglevel: "warning",
  };
  const words = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
  return reached(start([program, ...words]), port);
}

export type Reply = string | number | null | readonly Reply[];

export interface Redis extends Disposable {
  command(...words: readonly string[]): Promise<Reply>;
}

/** As much of a client as is needed: one command after the other, answered in that order. */
export async function connectRedis(port: number): Promise<Redis> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  const waiting: { resolve: (reply: Reply) => void; reject: (error: Error) => void }[] = [];
  let bytes: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
    for (let parsed = parse(bytes, 0); parsed !== undefined; parsed = parse(bytes, 0)) {
      bytes = bytes.subarray(parsed.end);
      const asked = waiting.shift();
      if (parsed.value instanceof Error) asked?.reject(parsed.value);
      else asked?.resolve(parsed.value);
    }
  });
  const fail = (error: Error) => {
    for (const { reject } of waiting.splice(0)) reject(error);
  };
  socket.on("close", () => fail(new Error("Redis closed the connection")));
  await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  socket.on("error", fail);
  return {
    command: (...words) =>
      new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        socket.write(encodeCommand(words));
      }),
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

export function encodeCommand(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`;
}

interface Parsed<T> {
  readonly value: T;
  readonly end: number;
}

/** A reply that begins there; undefined while part of it is on its way. */
function parse(bytes: Buffer, from: number): Parsed<Reply | Error> | undefined {
  const lineEnd = bytes.indexOf("\r\n", from);
  if (lineEnd === -1) return undefined;
  const line = bytes.toString("utf8", from + 1, lineEnd);
  const end = lineEnd + 2;
  const count = Number(line);
  switch (bytes.toString("latin1", from, from + 1)) {
    case "+":
      return { value: line, end };
    case "-":
      return { value: new Error(line), end };
    case ":":
      return { value: count, end };
    case "$":
      if (count < 0) return { value: null, end };
      if (bytes.length < end + count + 2) return undefined;
      return { value: bytes.toString("utf8", end, end + count), end: end + count + 2 };
    default:
      return count < 0 ? { value: null, end } : parseList(bytes, end, count);
  }
}

function parseList(bytes: Buffer, from: number, count: number): Parsed<Reply | Error> | undefined {
  const list: Reply[] = [];
  let end = from;
  while (list.length < count) {
    const item = parse(bytes, end);
    if (item === undefined) return undefined;
    if (item.value instanceof Error) return item;
    list.push(item.value);
    end = item.end;
  }
  return { value: list, end };
}
