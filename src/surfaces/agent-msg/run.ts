import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import mri from "mri";
import { conflict, invalid } from "../../core/errors.ts";
import { connect } from "./connect.ts";
import type { Talk } from "./conversation.ts";
import { isOnline, sendOnce } from "./once.ts";

/** What this program does with the rest of the world. */
export interface Surroundings {
  readonly dial: (url: string, headers: Readonly<Record<string, string>>) => Promise<Talk>;
  readonly serve: (serving: { port: number; host: string; insecure: boolean }, signal: AbortSignal) => Promise<void>;
  /** Shown to a server, where no header of one's own says it. */
  readonly token: string | undefined;
  readonly agent: string | undefined;
  readonly print: (text: string) => void;
  readonly note: (text: string) => void;
  readonly typed: NodeJS.ReadableStream;
}

const PORT = 18_790;
const ANSWER_SECONDS = 30;

const HELP = `agent-msg: messages between agents, over WebSocket

Usage:
  agent-msg server [-p PORT] [--host ADDRESS] [--insecure]
  agent-msg connect [-a AGENT] [-u URL]
  agent-msg send <to> <message> -w [--wait] [-s FROM] [-u URL]
  agent-msg ping <agent> [-u URL]

Options:
  -p, --port PORT       the server's port (${PORT})
  -u, --url URL         the server (ws://127.0.0.1:${PORT})
  -a, --agent AGENT     who connects (IPC_AGENT, or this machine's name)
  -s, --from NAME       who sends (the same)
  -f, --file FILE       take the message from this file
  -w, --websocket       over WebSocket
  --wait                wait until it is delivered
  --timeout SECONDS     for so long (${ANSWER_SECONDS})
  --header "NAME: TEXT" a header for the server, or for a proxy before it; may be given several times
  --host ADDRESS        where the server listens (127.0.0.1)
  --insecure            let in whoever reaches the server, from anywhere, without a key
`;

interface Options {
  readonly _: readonly string[];
  readonly [name: string]: unknown;
}

const TEXTS = ["port", "url", "agent", "from", "file", "timeout", "header", "host"];
const FLAGS = ["websocket", "wait", "insecure", "help"];
/** Each option with its letter, if it has one; others are unknown. */
const ALIAS = {
  port: "p",
  url: "u",
  agent: "a",
  from: "s",
  file: "f",
  websocket: "w",
  help: "h",
  wait: [],
  timeout: [],
  header: [],
  host: [],
  insecure: [],
};

export async function runAgentMsg(typed: readonly string[], around: Surroundings, signal: AbortSignal): Promise<void> {
  const options: Options = mri([...typed], {
    string: TEXTS,
    boolean: FLAGS,
    alias: ALIAS,
    unknown: (flag) => {
      throw invalid(`unknown option ${flag}; see agent-msg --help`);
    },
  });
  const [verb, ...words] = options._.map(String);
  if (options.help === true || verb === undefined || verb === "help") return around.print(HELP.trimEnd());
  const { agent, url, dial } = reaching(options, around);
  switch (verb) {
    case "server":
      return around.serve(
        {
          port: numberIn(options, "port", PORT),
          host: textIn(options, "host") ?? "127.0.0.1",
          insecure: options.insecure === true,
        },
        signal,
      );
    case "connect":
      return connect({
        agent,
        url,
        dial,
        print: around.print,
        note: around.note,
        typed: around.typed,
        signal,
      });
    case "send": {
      const [to, ...rest] = words;
      const file = textIn(options, "file");
      const message = file === undefined ? rest.join(" ") : readFileSync(file, "utf8");
      if (to === undefined || message === "") throw invalid("Usage: agent-msg send <to> <message> -w [--wait]");
      if (options.websocket !== true)
        throw invalid("give -w to send over WebSocket; on this machine's bus itself: el-ipc post");
      const milliseconds = numberIn(options, "timeout", ANSWER_SECONDS) * 1_000;
      return around.print(
        await sendOnce(dial, { from: agent, to, message, wait: options.wait === true, milliseconds }),
      );
    }
    case "ping": {
      const [who] = words;
      if (who === undefined) throw invalid("Usage: agent-msg ping <agent>");
      if (!(await isOnline(dial, who, numberIn(options, "timeout", ANSWER_SECONDS) * 1_000)))
        throw conflict(`${who} is offline`);
      return around.print(`✓ ${who} is online`);
    }
    default:
      throw invalid(`unknown command ${JSON.stringify(verb)}; the commands are server, connect, send, ping and help`);
  }
}

function reaching(options: Options, { dial, token, agent: self }: Surroundings) {
  const url = textIn(options, "url") ?? `ws://127.0.0.1:${numberIn(options, "port", PORT)}`;
  const headers = headersIn(options.header);
  const shown = token !== undefined && !Object.keys(headers).some((name) => name.toLowerCase() === "authorization");
  const all = shown ? { Authorization: `Bearer ${token}`, ...headers } : headers;
  const agent = textIn(options, "agent") ?? textIn(options, "from") ?? self ?? hostname();
  return { url, agent, dial: () => dial(url, all) };
}

function headersIn(given: unknown): Record<string, string> {
  const lines = given === undefined ? [] : Array.isArray(given) ? given : [given];
  return Object.fromEntries(
    lines.map((line) => {
      const [, name, text] = /^([\w!#$%&'*+.^`|~-]+):[ \t]*([^\r\n]*)$/.exec(String(line)) ?? [];
      if (name === undefined || text === undefined)
        throw invalid(`--header takes "name: text", not ${JSON.stringify(line)}`);
      return [name, text];
    }),
  );
}

function textIn(options: Options, name: string): string | undefined {
  const value = options[name];
  if (value === undefined) return undefined;
  if (Array.isArray(value)) throw invalid(`--${name} is given twice`);
  if (value === "") throw invalid(`--${name} needs a value`);
  return String(value);
}

function numberIn(options: Options, name: string, usual: number): number {
  const text = textIn(options, name);
  if (text === undefined) return usual;
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text);
  throw invalid(`--${name} must be a number`);
}
