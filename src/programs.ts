import manifest from "../package.json" with { type: "json" };
import { invalid } from "./core/errors.ts";
import { type Environment, withStore } from "./environment.ts";
import { flag, name, optional, text, whole } from "./operations/fields.ts";
import { defineProgramCommand, type ProgramCommand } from "./surfaces/cli/arguments.ts";
import { print } from "./surfaces/cli/terminal.ts";

const BROKER_PORT = 9100;

const TCP_BROKER_PORT = 19_901;

const STORE = optional(text("The NATS server that keeps the bus (IPC_STORE)"));

/** The commands that start a program or move a whole bus. Each loads its code when it runs. */
export function createProgramCommands(environment: Environment): readonly ProgramCommand[] {
  return [
    createHttpServer(environment, environment.port, "IPC_PORT, 9876", {
      name: "serve",
      summary: "Serve the bus over HTTP",
      details: [
        "Listens on this machine only, unless --host names another address. Ctrl-C stops it; nothing accepted is lost.",
        "Other machines get in only with IPC_API_KEY, an operator, or --insecure.",
      ].join("\n"),
      examples: ["el-ipc serve", "el-ipc serve 8080", "IPC_API_KEY=secret el-ipc serve --host 0.0.0.0"],
    }),
    createHttpServer(environment, BROKER_PORT, String(BROKER_PORT), {
      name: "broker",
      summary: `Serve the bus over HTTP on port ${BROKER_PORT}`,
      details: "The same server as `serve`, on the port where sessions look for their broker.",
      examples: ["el-ipc broker", "el-ipc broker --port 8080 --host 127.0.0.1"],
    }),
    createTcpBroker(environment),
    createMcp(environment),
    createExport(environment),
    createImport(environment),
  ];
}

function listenFields(port: string) {
  return {
    port: optional(whole(`The port to listen on; 0 for any (${port})`, { min: 0, max: 65_535 })),
    host: optional(text("The address to listen on (127.0.0.1)")),
    insecure: flag("Admit everyone who can reach the server, without a key"),
    verbose: flag("Log each request"),
    store: STORE,
  };
}

type HelpText = Pick<ProgramCommand, "name" | "summary" | "details" | "examples">;

function createHttpServer(environment: Environment, defaultPort: number, portText: string, help: HelpText) {
  return defineProgramCommand({
    ...help,
    outlives: true,
    input: {
      fields: {
        ...listenFields(portText),
        tcp: optional(whole("Serve lines of JSON over TCP on this port, too", { min: 0, max: 65_535 })),
      },
      positionals: ["port"],
    },
    run: async ({ port = defaultPort, host = "127.0.0.1", insecure = false, verbose = false, tcp, store }, signal) => {
      const { serve } = await import("./serve.ts");
      const options = { port, host, insecure, verbose, tcp };
      await serve(withStore(environment, store), manifest.version, options, signal);
    },
  });
}

function createTcpBroker(environment: Environment): ProgramCommand {
  return defineProgramCommand({
    name: "tcp broker",
    summary: "Serve the bus as lines of JSON over TCP",
    details: [
      "Each request is a line, and so is its answer: post, fetch, wait, status, and everything else that a server offers.",
      "If a broker already listens on the port, the command says so, and that one is used.",
    ].join("\n"),
    examples: ["el-ipc tcp broker", `echo '{"op":"status"}' | nc -N localhost ${TCP_BROKER_PORT}`],
    outlives: true,
    input: { fields: listenFields(String(TCP_BROKER_PORT)), positionals: ["port"] },
    run: async ({ port = TCP_BROKER_PORT, host = "127.0.0.1", insecure = false, verbose = false, store }, signal) => {
      const { serveBroker } = await import("./serve.ts");
      const options = { port, host, insecure, verbose };
      const found = await serveBroker(withStore(environment, store), manifest.version, options, signal);
      if (found !== undefined) print(found);
    },
  });
}

function createMcp(environment: Environment): ProgramCommand {
  return defineProgramCommand({
    name: "mcp",
    summary: "Serve the bus to an MCP client over standard input and output",
    details: "Ends with its input. In secure mode it acts as the agent whose key it has.",
    examples: ["el-ipc mcp", "IPC_AGENT=herald IPC_KEY=herald.key el-ipc mcp"],
    input: {
      fields: {
        agent: optional(name("The registered agent that the client is (IPC_AGENT)")),
        key: optional(text("The file of its private key (IPC_KEY)", { given: "file" })),
        url: optional(text("Ask the server at this address (IPC_URL)")),
        store: optional(text("Ask the NATS server at this address, which keeps the bus (IPC_STORE)")),
      },
    },
    run: async ({ agent, key, url, store }, signal) => {
      if (url !== undefined && store !== undefined) throw invalid("--url and --store name two buses: give one");
      const { serveMcp } = await import("./mcp.ts");
      const options = {
        agent: agent ?? environment.agent,
        keyFile: key ?? environment.keyFile,
        // Options override the environment.
        url: url ?? (store === undefined ? environment.url : undefined),
      };
      await serveMcp(withStore(environment, store), manifest.version, options, signal);
    },
  });
}

function createExport(environment: Environment): ProgramCommand {
  return defineProgramCommand({
    name: "export",
    summary: "Write the whole bus to a file, as lines of JSON",
    details: [
      "A file that already holds an export gets only what is new, so an interrupted export can be continued.",
      "Without a file the export goes to standard output.",
    ].join("\n"),
    examples: ["el-ipc export bus.jsonl", "el-ipc export | gzip > bus.jsonl.gz"],
    input: {
      fields: { file: optional(text("The file to write, or to continue")), store: STORE },
      positionals: ["file"],
    },
    run: async ({ file, store }, signal) => {
      const { exportTo } = await import("./moving.ts");
      await exportTo(withStore(environment, store), file, signal);
    },
  });
}

function createImport(environment: Environment): ProgramCommand {
  return defineProgramCommand({
    name: "import",
    summary: "Bring an export into the bus",
    details: [
      "Order, signatures, agents, commands and signals are kept. Messages get new ids, and watermarks follow them.",
      "Records that are already there stay as they are, so importing a file twice changes nothing.",
    ].join("\n"),
    examples: ["el-ipc import bus.jsonl", "el-ipc import bus.jsonl --store nats://nats.example.org"],
    input: {
      fields: { file: text("The file; - for standard input"), store: STORE },
      positionals: ["file"],
    },
    run: async ({ file, store }, signal) => {
      const { importFrom } = await import("./moving.ts");
      await importFrom(withStore(environment, store), file, signal);
    },
  });
}
