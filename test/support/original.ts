import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const commands = fileURLToPath(new URL("original-process.ts", import.meta.url));

export interface OriginalAgent {
  readonly name: string;
  readonly publicKey: string;
  readonly role: "agent" | "operator";
  readonly registeredBy: string | null;
  readonly createdAt: number;
}

export interface Original extends AsyncDisposable {
  send(channel: string, sender: string, content: string, at: number, signature?: string): Promise<number>;
  /** The contents that an agent hasn't read, which from then on it has. */
  read(channel: string, agent: string): Promise<readonly string[]>;
  register(agent: OriginalAgent): Promise<void>;
  agents(): Promise<readonly string[]>;
}

/**
 * What the Python original does to a database file, statement by statement: each of its commands opens the file, makes
 * the tables that aren't there, writes whole rows, and leaves. A process of its own: two SQLite libraries in one process
 * undo each other's locks.
 */
export function original(path: string, age: "current" | "oldest" = "current"): Original {
  const child = fork(commands, [path, age], { execArgv: ["--no-warnings"] });
  const ask = (name: string, ...given: (string | number | null)[]) => answerOf(child, [name, given]);
  return {
    async send(channel, sender, content, at, signature = "") {
      if (age === "oldest") return Number(await ask("sendUnsigned", channel, sender, content, at));
      return Number(await ask("send", channel, sender, content, at, signature));
    },
    read: async (channel, agent) => texts(await ask("read", channel, agent)),
    register: async ({ name, publicKey, role, registeredBy, createdAt }) => {
      await ask("register", name, publicKey, role, registeredBy, createdAt);
    },
    agents: async () => texts(await ask("agents")),
    async [Symbol.asyncDispose]() {
      const left = once(child, "exit");
      child.disconnect();
      await left;
    },
  };
}

async function answerOf(child: ChildProcess, question: [string, (string | number | null)[]]): Promise<unknown> {
  child.send(question);
  const [said]: { answer?: unknown; error?: string }[] = await once(child, "message");
  if (said?.error !== undefined) throw new Error(said.error);
  return said?.answer;
}

function texts(answer: unknown): string[] {
  if (!Array.isArray(answer)) throw new Error(`this is no list: ${JSON.stringify(answer)}`);
  return answer.map(String);
}
