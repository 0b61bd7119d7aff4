// `npm run demo`: a broker, three sessions and a human, each a process of its own but the human, which is this one. It
// tells what happens, then goes on until Ctrl-C; with --once it ends there. Nothing of it stays.
import { fileURLToPath } from "node:url";
import { temporaryFolder } from "../bench/folder.ts";
import { pause, type Running, start } from "../bench/processes.ts";
import { on, serve } from "../bench/program.ts";
import { ask, type Values } from "./ask.ts";

const once = process.argv.includes("--once");
const STEP_MS = once ? 0 : 2_000;
const program = fileURLToPath(new URL("session.ts", import.meta.url));

try {
  await demonstrate();
} catch (error) {
  console.error(`Error: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
process.exit();

async function demonstrate(): Promise<void> {
  using folder = temporaryFolder();
  await using broker = await serve(on(folder));
  const url = `http://127.0.0.1:${broker.port}`;
  tell("broker", `serves on ${url}, with a database that goes when this ends`);
  tell("broker", `its dashboard is ${url}/dashboard: open it to see all this live`);

  await using sessions = new AsyncDisposableStack();
  const ended: Promise<never>[] = [];
  for (const role of ["orchestrator", "linux-client", "backend"]) {
    const session = sessions.use(start([process.execPath, program, url, role]));
    tell(role, await session.line());
    ended.push(passOn(role, session));
  }
  await Promise.race([play(url), ...ended]);
}

async function play(url: string): Promise<void> {
  await pause(STEP_MS);
  const { ip, port } = await order(url, "backend", "start_server", { port: 7400 });
  await pause(STEP_MS);
  await order(url, "linux-client", "connect_and_test", { ip, port });
  const status = await ask(url, "GET /status");
  tell("broker", `has stored ${status?.commands.map(({ action, status }) => `${action}: ${status}`).join(", ")}`);
  tell("broker", `has the signals ${status?.signals.map(({ name }) => name).join(", ")}`);
  if (once) return;
  console.log(`
The sessions go on. Order something yourself, in the dashboard or from another terminal:

  IPC_URL=${url} sources.d/ipc-server.sh ask linux-client connect_and_test '{"ip":"${ip}","port":${port}}'
  IPC_URL=${url} sources.d/ipc-server.sh events

Ctrl-C ends it all.
`);
  await new Promise(() => {});
}

/** The human's actions in the dashboard. */
async function order(url: string, target: string, action: string, params: object): Promise<Values> {
  tell("human", `orders ${target}: ${action} ${JSON.stringify(params)}`);
  const sent = await ask(url, "POST /commands/send", { from: "human", target, action, params });
  const ended = await ask(url, `GET /commands/${sent?.command.id}/result?timeout=30000`);
  if (ended?.command.status !== "acked") throw new Error(`${action} was not done: ${JSON.stringify(ended)}`);
  tell("human", `sees that ${target} acknowledged: ${JSON.stringify(ended.command.result)}`);
  return ended.command.result;
}

/** Tells what a session says. Fails when it ends, since it shouldn't. */
async function passOn(role: string, session: Running): Promise<never> {
  for (;;) tell(role, await session.line());
}

function tell(who: string, what: string): void {
  console.log(`${who.padEnd("orchestrator".length)}  ${what}`);
}
