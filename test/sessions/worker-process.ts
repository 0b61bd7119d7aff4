// A session of the four-session example, as a process of its own that knows nothing but the broker's address: it connects
// under a role, then waits for commands, does them and acknowledges them, over whatever happens to the broker. It prints
// what it does, a JSON line each.
import { setTimeout as sleep } from "node:timers/promises";

const [url = "", role = ""] = process.argv.slice(2);

interface Command {
  readonly id: string;
  readonly kind: string;
  readonly action: string;
  readonly params: { readonly ip?: string; readonly port?: number };
}

/** Asks again until the broker answers. */
async function ask(method: string, path: string, body?: object) {
  for (;;) {
    try {
      const response = await fetch(url + path, { method, ...(body ? { body: JSON.stringify(body) } : {}) });
      return { status: response.status, answer: Object(await response.json()) };
    } catch {
      await sleep(20);
    }
  }
}

function tell(what: object): void {
  console.log(JSON.stringify(what));
}

function work({ action, params }: Command): object {
  if (action === "start_server") return { ip: "127.0.0.1", port: params.port, pid: process.pid };
  if (action === "connect_and_test") return { reached: `${params.ip}:${params.port}` };
  return { unknown: action };
}

const { answer: connected } = await ask("POST", "/peers/connect", { role, capabilities: ["test"] });
tell({ connected: connected.id });
for (let working = true; working; ) {
  const { status, answer } = await ask("GET", `/commands/${connected.id}/wait?timeout=2000`);
  if (status !== 200) continue;
  const command: Command = answer.command;
  if (command.kind === "command_response") {
    tell({ response: command.params });
    continue;
  }
  tell({ working: command.id, action: command.action });
  await sleep(300);
  const result = work(command);
  const { status: acked } = await ask("POST", `/commands/${command.id}/ack`, { result });
  tell({ acked, id: command.id, action: command.action });
  working = command.action !== "shutdown";
}
