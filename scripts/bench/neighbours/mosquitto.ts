import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import type { Folder } from "../folder.ts";
import { start } from "../processes.ts";
import { freePort, type Neighbour, reached } from "./neighbours.ts";

/** Mosquitto with persistence; it has no way of writing each message to the disk before it says so. */
export async function startMosquitto(program: string, folder: Folder): Promise<Neighbour> {
  const port = await freePort();
  const file = folder.file("mosquitto.conf");
  const settings = [
    `listener ${port} 127.0.0.1`,
    "allow_anonymous true",
    "persistence true",
    `persistence_location ${folder.path}/`,
    // Otherwise, started by root, it becomes a user who can't write to our folder.
    ...(process.getuid?.() === 0 ? ["user root"] : []),
    "set_tcp_nodelay true",
    "log_type error",
  ];
  writeFileSync(file, `${settings.join("\n")}\n`);
  return reached(start([program, "-c", file]), port);
}

export interface Mqtt extends Disposable {
  /** Answers once the server has acknowledged it (QoS 1). */
  publish(topic: string, text: string): Promise<void>;
  subscribe(topic: string, take: (text: string) => void): Promise<void>;
}

const CONNACK = 2;
const PUBLISH = 3;
const PUBACK = 4;
const SUBACK = 9;

/** As much of a client as is needed: MQTT 3.1.1, quality of service 1. */
export async function connectMqtt(port: number, client: string): Promise<Mqtt> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  const waiting = new Map<number, () => void>();
  let take: (text: string) => void = () => {};
  let bytes: Buffer = Buffer.alloc(0);
  let lastId = 0;

  const received = ({ kind, body }: Packet): void => {
    if (kind === CONNACK) waiting.get(0)?.();
    if (kind === PUBACK || kind === SUBACK) {
      const id = body.readUInt16BE(0);
      waiting.get(id)?.();
      waiting.delete(id);
    }
    if (kind !== PUBLISH) return;
    const id = 2 + body.readUInt16BE(0);
    take(body.toString("utf8", id + 2));
    socket.write(packet(0x40, body.subarray(id, id + 2)));
  };

  socket.on("data", (chunk: Buffer) => {
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
    for (let next = readPacket(bytes); next !== undefined; next = readPacket(bytes)) {
      bytes = bytes.subarray(next.end);
      received(next);
    }
  });
  await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  socket.on("error", () => {});

  const acknowledged = (id: number) => new Promise<void>((resolve) => waiting.set(id, resolve));
  const nextId = () => {
    lastId = (lastId % 65_535) + 1;
    return lastId;
  };
  const accepted = acknowledged(0);
  socket.write(connectPacket(client));
  await accepted;
  return {
    publish(topic, text) {
      const id = nextId();
      socket.write(packet(0x32, Buffer.concat([field(topic), short(id), Buffer.from(text)])));
      return acknowledged(id);
    },
    subscribe(topic, taker) {
      take = taker;
      const id = nextId();
      socket.write(subscribePacket(topic, id));
      return acknowledged(id);
    },
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

export function connectPacket(client: string): Buffer {
  const cleanSession = 2;
  const keepAlive = short(300);
  return packet(0x10, Buffer.concat([field("MQTT"), Buffer.from([4, cleanSession]), keepAlive, field(client)]));
}

export function subscribePacket(topic: string, id: number): Buffer {
  const qos = 1;
  return packet(0x82, Buffer.concat([short(id), field(topic), Buffer.from([qos])]));
}

interface Packet {
  readonly kind: number;
  readonly body: Buffer;
  readonly end: number;
}

function readPacket(bytes: Buffer): Packet | undefined {
  let length = 0;
  for (let place = 1; place < bytes.length && place <= 4; place++) {
    const byte = bytes[place] ?? 0;
    length += (byte & 127) * 128 ** (place - 1);
    if (byte >= 128) continue;
    const end = place + 1 + length;
    if (bytes.length < end) return undefined;
    return { kind: (bytes[0] ?? 0) >> 4, body: bytes.subarray(place + 1, end), end };
  }
  return undefined;
}

function packet(head: number, body: Buffer): Buffer {
  const length: number[] = [];
  for (let rest = body.length; length.length === 0 || rest > 0; rest = rest >> 7) {
    length.push((rest & 127) | (rest >= 128 ? 128 : 0));
  }
  return Buffer.concat([Buffer.from([head, ...length]), body]);
}

function short(value: number): Buffer {
  return Buffer.from([value >> 8, value & 255]);
}

function field(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([short(bytes.length), bytes]);
}
