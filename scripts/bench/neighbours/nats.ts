import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import type { Folder } from "../folder.ts";
import { start } from "../processes.ts";
import type { Durability } from "../program.ts";
import { freePort, type Neighbour, reached } from "./neighbours.ts";

/** Whether this version can write each message to the disk before it says so; older ones do that every two minutes. */
export function natsSyncs(program: string): boolean {
  const { stdout } = spawnSync(program, ["--version"], { encoding: "utf8" });
  const [, major = 0, minor = 0] = /v(\d+)\.(\d+)/.exec(stdout) ?? [];
  return Number(major) > 2 || (Number(major) === 2 && Number(minor) >= 10);
}

export async function startNats(program: string, folder: Folder, durability: Durability): Promise<Neighbour> {
  const port = await freePort();
  const sync = durability === "full" && natsSyncs(program) ? "sync_interval: always" : "";
  const file = folder.file("nats.conf");
  writeFileSync(
    file,
    `listen: "127.0.0.1:${port}"\nmax_connections: 15000\njetstream { store_dir: ${JSON.stringify(folder.path)}\n${sync} }\n`,
  );
  return reached(start([program, "-c", file]), port);
}

export interface NatsMessage {
  readonly text: string;
  readonly reply: string | undefined;
}

export interface Nats extends Disposable {
  publish(subject: string, text: string, reply?: string): void;
  subscribe(subject: string, take: (message: NatsMessage) => void): void;
  /** Publishes, and waits for the answer. A publication to a stream is answered once it is stored. */
  request(subject: string, text: string): Promise<string>;
  /** Waits until the server has seen all that was said before. */
  flush(): Promise<void>;
}

/** As much of a client as is needed, in NATS's text protocol. */
export async function connectNats(port: number): Promise<Nats> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  const subscriptions = new Map<string, (message: NatsMessage) => void>();
  const requests = new Map<string, (text: string) => void>();
  const pings: (() => void)[] = [];
  const inbox = `_INBOX.bench${process.pid}`;
  let bytes: Buffer = Buffer.alloc(0);
  let asked = 0;

  /** Takes the first command of what came; answers with where it ends, or undefined while part of it is on its way. */
  const step = (): number | undefined => {
    const lineEnd = bytes.indexOf("\r\n");
    if (lineEnd === -1) return undefined;
    const words = bytes.toString("utf8", 0, lineEnd).split(" ");
    const end = lineEnd + 2;
    if (words[0] === "PING") socket.write("PONG\r\n");
    if (words[0] === "PONG") pings.shift()?.();
    if (words[0] === "-ERR") socket.destroy(new Error(words.join(" ")));
    if (words[0] !== "MSG") return end;
    const length = Number(words.at(-1));
    if (bytes.length < end + length + 2) return undefined;
    const [, subject = "", subscription = ""] = words;
    const text = bytes.toString("utf8", end, end + length);
    const reply = words.length === 5 ? words[3] : undefined;
    if (subject.startsWith(inbox)) requests.get(subject)?.(text);
    else subscriptions.get(subscription)?.({ text, reply });
    return end + length + 2;
  };

  socket.on("data", (chunk: Buffer) => {
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
    for (let end = step(); end !== undefined; end = step()) bytes = bytes.subarray(end);
  });
  await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));

  const nats: Nats = {
    publish(subject, text, reply) {
      const head = `PUB ${subject} ${reply === undefined ? "" : `${reply} `}${Buffer.byteLength(text)}`;
      socket.write(`${head}\r\n${text}\r\n`);
    },
    subscribe(subject, take) {
      const id = String(subscriptions.size + 1);
      subscriptions.set(id, take);
      socket.write(`SUB ${subject} ${id}\r\n`);
    },
    request(subject, text) {
      const reply = `${inbox}.${++asked}`;
      return new Promise((resolve, reject) => {
        socket.once("close", reject);
        requests.set(reply, (answer) => {
          requests.delete(reply);
          socket.off("close", reject);
          resolve(answer);
        });
        nats.publish(subject, text, reply);
      });
    },
    flush: () =>
      new Promise((resolve) => {
        pings.push(resolve);
        socket.write("PING\r\n");
      }),
    [Symbol.dispose]: () => void socket.destroy(),
  };
  socket.on("error", () => {});
  socket.write('CONNECT {"verbose":false,"pedantic":false}\r\n');
  nats.subscribe(`${inbox}.*`, () => {});
  return nats;
}

/** Makes a stream that keeps what is published to its subject, in files. */
export async function createStream(nats: Nats, name: string): Promise<void> {
  const stream = { name, subjects: [name], storage: "file", retention: "limits" };
  refuseError(await nats.request(`$JS.API.STREAM.CREATE.${name}`, JSON.stringify(stream)));
}

/** Makes a consumer that is pushed each new message of the stream, and acknowledges it. */
export async function pushTo(nats: Nats, stream: string, deliver: string): Promise<void> {
  const config = { durable_name: "reader", deliver_subject: deliver, ack_policy: "explicit", deliver_policy: "new" };
  const asked = JSON.stringify({ stream_name: stream, config });
  refuseError(await nats.request(`$JS.API.CONSUMER.DURABLE.CREATE.${stream}.reader`, asked));
}

export function refuseError(answer: string): void {
  if (answer.includes('"error"')) throw new Error(`NATS: ${answer}`);
}
