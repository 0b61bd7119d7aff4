// A session of the demonstration: connects to the broker under its role, waits for commands, carries out what it can, and
// acknowledges it. It knows nothing but the broker's address, and prints what it does.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type Answer, ask, type Command, type Values } from "./ask.ts";

const [url = "", role = ""] = process.argv.slice(2);

type Work = (params: Values) => Promise<Values>;

const abilities: Readonly<Record<string, Readonly<Record<string, Work>>>> = {
  orchestrator: {},
  "linux-client": { connect_and_test: connectAndTest },
  backend: { start_server: startServer },
};

const abilitiesOfRole = abilities[role] ?? {};

// The parent process is gone.
process.stdin.resume().on("end", () => process.exit());

const connected = await ask(url, "POST /peers/connect", { role, capabilities: Object.keys(abilitiesOfRole) });
const id = connected?.id ?? "";
console.log(`is connected as ${id}, and waits`);
if (role === "orchestrator") void watch("start_server_done", "connect_and_test_done");
for (;;) {
  const taken = await ask(url, `GET /commands/${id}/wait?timeout=30000`);
  if (taken !== undefined) await carryOut(taken);
}

async function carryOut({ command }: Answer): Promise<void> {
  if (command.kind === "command_response") return;
  console.log(`takes the command ${command.action} ${JSON.stringify(command.params)}`);
  try {
    const result = await work(command);
    console.log(`acknowledges it: ${JSON.stringify(result)}`);
    await ask(url, `POST /commands/${command.id}/ack`, { result });
  } catch (error) {
    console.log(`fails it: ${messageOf(error)}`);
    await ask(url, `POST /commands/${command.id}/fail`, { error: messageOf(error) });
  }
}

async function work({ action, params }: Command): Promise<Values> {
  const able = abilitiesOfRole[action];
  if (able === undefined) throw new Error(`${role} can't ${action}`);
  return able(params);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A server of its own, which says hello; on another port where that one is taken. */
async function startServer({ port }: Values): Promise<Values> {
  const server = createServer((_, response) => response.end("hello from the backend"));
  const listening = async (wanted: number) => {
    server.listen(wanted, "127.0.0.1");
    await once(server, "listening");
  };
  await listening(Number(port)).catch(() => listening(0));
  const { address, port: got } = addressOf(server.address());
  console.log(`has a server on ${address}:${got}`);
  return { ip: address, port: got };
}

function addressOf(address: AddressInfo | string | null): AddressInfo {
  if (typeof address === "object" && address !== null) return address;
  throw new Error("the server has no port");
}

async function connectAndTest({ ip, port }: Values): Promise<Values> {
  const response = await fetch(`http://${ip}:${port}`);
  return { status: response.status, heard: await response.text() };
}

/** Says of each signal that it came, in order. */
async function watch(...names: readonly string[]): Promise<void> {
  for (const name of names) {
    let found: Answer | undefined;
    while (found === undefined) found = await ask(url, `GET /signals/${name}/wait?timeout=30000`);
    console.log(`hears the signal ${name}: ${JSON.stringify(found.signal.data.result)}`);
  }
}
