import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { temporaryFolder, waitUntil } from "./program.ts";
import { freePort } from "./sockets.ts";

/** The installed server's version; undefined without one. */
export const natsVersion = /v(\d+\.\d+\.\d+)/.exec(
  spawnSync("nats-server", ["--version"], { encoding: "utf8" }).stdout ?? "",
)?.[1];

/** For a test that needs a server: why it is skipped. */
export const needsNats = {
  skip: natsVersion === undefined && "nats-server is not installed (Debian: apt-get install nats-server)",
};
if (process.env.CI !== undefined) assert.equal(needsNats.skip, false);

const [major = 0, minor = 0] = (natsVersion ?? "").split(".").map(Number);
const isOld = major < 2 || (major === 2 && minor < 10);

/** For a test that needs a cluster, or one that el-ipc refuses: why it is skipped. */
export const needsCluster = { skip: needsNats.skip || (isOld && `a cluster of nats-server ${natsVersion} is refused`) };
export const needsOldCluster = { skip: needsNats.skip || (!isOld && `nats-server ${natsVersion} is no old one`) };

export interface NatsServer extends AsyncDisposable {
  readonly port: number;
  /** URL of its monitoring. */
  readonly monitor: string;
  readonly process: ChildProcess;
  /** The address of a new bus. */
  freshBus(): string;
  /** Its log so far. */
  log(): string;
}

/** Enough for the largest value that any engine must store. */
const MAX_PAYLOAD = 16 * 1024 * 1024;

/** Starts a server with JetStream in its own folder; `more` goes into its configuration. */
export async function startNats(more = "", at?: { port: number; folder: string }): Promise<NatsServer> {
  const own = at === undefined ? temporaryFolder() : undefined;
  const port = at?.port ?? (await freePort());
  const monitor = await freePort();
  const folder = at?.folder ?? own?.path ?? "";
  const file = `${folder}/nats.conf`;
  const store = JSON.stringify(`${folder}/jetstream`);
  writeFileSync(
    file,
    `listen: "127.0.0.1:${port}"\nhttp: "127.0.0.1:${monitor}"\nmax_payload: ${MAX_PAYLOAD}\njetstream { store_dir: ${store} }\n${more}\n`,
  );
  const server = spawn("nats-server", ["-c", file], { stdio: ["ignore", "ignore", "pipe"] });
  const end = () => void server.kill("SIGKILL");
  process.on("exit", end);
  let log = "";
  server.stderr.setEncoding("utf8").on("data", (text: string) => {
    log += text;
  });
  const ended = new Promise<void>((resolve) => server.once("close", () => resolve()));
  server.once("exit", (code) => {
    if (code !== null) process.stderr.write(`nats-server ended with ${code}:\n${log.slice(-4_000)}\n`);
  });
  await waitUntil(() => {
    if (server.exitCode !== null) throw new Error(`nats-server ended: ${log}`);
    return reached(port);
  }, "nats-server listens");
  return {
    port,
    monitor: `http://127.0.0.1:${monitor}`,
    process: server,
    freshBus: () => `nats://127.0.0.1:${port}/${freshName()}`,
    log: () => log,
    async [Symbol.asyncDispose]() {
      process.off("exit", end);
      end();
      await ended;
      own?.[Symbol.dispose]();
    },
  };
}

export interface Cluster extends AsyncDisposable {
  /** Names all its servers. */
  readonly address: string;
  /** The address of a new bus. */
  freshBus(): string;
  readonly names: readonly string[];
  kill(name: string): Promise<void>;
  restart(name: string): Promise<void>;
  /** Stops the process with its connections open, as if the network were cut. */
  pause(name: string): Promise<void>;
  resume(name: string): Promise<void>;
}

/** Starts a cluster of three servers; `more` goes into each one's configuration. */
export async function startCluster(more = (_name: string) => ""): Promise<Cluster> {
  const names = ["n1", "n2", "n3"];
  const folders = names.map(() => temporaryFolder());
  const ports = await Promise.all(names.map(freePort));
  const routes = await Promise.all(names.map(freePort));
  const started = new Map<string, NatsServer>();
  const start = async (index: number): Promise<void> => {
    const listed = routes.map((port) => `nats-route://127.0.0.1:${port}`).join(", ");
    const cluster = `cluster { name: c, listen: "127.0.0.1:${routes[index]}", routes: [${listed}] }`;
    const at = { port: ports[index] ?? 0, folder: folders[index]?.path ?? "" };
    started.set(
      names[index] ?? "",
      await startNats(`server_name: ${names[index]}\n${cluster}\n${more(names[index] ?? "")}`, at),
    );
  };
  const server = (name: string) => started.get(name) ?? assert.fail(`there is no server ${name}`);
  await Promise.all(names.map((_, index) => start(index)));
  await waitUntil(
    async () => {
      const health = await Promise.all([...started.values()].map(({ monitor }) => fetch(`${monitor}/healthz`)));
      return health.every(({ ok }) => ok);
    },
    "the cluster has a leader",
    40_000,
  );
  const address = `nats://${ports.map((port) => `127.0.0.1:${port}`).join(",")}`;
  return {
    address,
    freshBus: () => `${address}/${freshName()}`,
    names,
    kill: async (name) => server(name)[Symbol.asyncDispose](),
    restart: (name) => start(names.indexOf(name)),
    async pause(name) {
      server(name).process.kill("SIGSTOP");
      // Its threads stop one by one, and may still answer until then.
      await sleep(200);
    },
    resume: async (name) => void server(name).process.kill("SIGCONT"),
    async [Symbol.asyncDispose]() {
      for (const one of started.values()) await one[Symbol.asyncDispose]();
      for (const folder of folders) folder[Symbol.dispose]();
    },
  };
}

const freshName = () => randomBytes(6).toString("hex");

function reached(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const done = (is: boolean) => {
      socket.destroy();
      resolve(is);
    };
    socket.once("connect", () => done(true)).once("error", () => done(false));
  });
}
