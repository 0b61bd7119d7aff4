import manifest from "../package.json" with { type: "json" };
import { openServer } from "./client.ts";
import { THIS_PROCESS } from "./core/access.ts";
import { invalid, isIpcError } from "./core/errors.ts";
import { createNotes, readEnvironment, withStore } from "./environment.ts";
import { openBus, openLink } from "./open.ts";
import { seedOperator } from "./operations/agents.ts";
import { flag, name, optional, text, whole } from "./operations/fields.ts";
import { operations } from "./operations/index.ts";
import type { Operation } from "./operations/operation.ts";
import { createLocalEndpoint, createStorelessEndpoint, type Endpoint } from "./operations/perform.ts";
import { defineProgramCommand, type ProgramCommand } from "./surfaces/cli/arguments.ts";
import { run, type TokenSource, type Where } from "./surfaces/cli/run.ts";
import { print, printNote } from "./surfaces/cli/terminal.ts";

/** Where sessions look for their broker. */
const BROKER_PORT = 9100;

const TCP_BROKER_PORT = 19_901;

type Serving = Pick<ProgramCommand, "summary" | "details" | "examples">;

void main(process.argv.slice(2)).then((code) => process.exit(code));

async function main(typed: readonly string[]): Promise<number> {
  try {
    const environment = readEnvironment(process.env);

    const near = async (operation: Operation, { store, retry, signal }: Where): Promise<Endpoint & AsyncDisposable> => {
      if (operation.storeless) {
        const endpoint = createStorelessEndpoint({ link: openLink() }, THIS_PROCESS);
        return { ...endpoint, [Symbol.asyncDispose]: async () => {} };
      }
      const bus = await openBus(withStore(environment, store, retry), {
        signal,
        port: () => environment.port,
        seeding: operation === seedOperator,
        warn: printNote,
      });
      const endpoint = createLocalEndpoint(bus, THIS_PROCESS);
      return { ...endpoint, [Symbol.asyncDispose]: async () => bus[Symbol.asyncDispose]() };
    };
    const far = (url: string, token: TokenSource) => openServer({ url, apiKey: environment.apiKey, token });

    const listening = (port: string) => ({
      port: optional(whole(`The port to listen on; 0 for any (${port})`, { min: 0, max: 65_535 })),
      host: optional(text("The address to listen on (127.0.0.1)")),
      insecure: flag("Let in whoever reaches it, from anywhere, without a key"),
      verbose: flag("Log each request"),
      store: optional(text("The NATS server that keeps the bus (IPC_STORE)")),
    });

    /** One server under two names, each with a port of its own. */
    const serving = (name: string, usual: { readonly port: number; readonly about: string }, more: Serving) =>
      defineProgramCommand({
        ...more,
        name,
        outlives: true,
        input: {
          fields: {
            ...listening(usual.about),
            tcp: optional(whole("Serve lines of JSON over TCP on this port, too", { min: 0, max: 65_535 })),
          },
          positionals: ["port"],
        },
        run: async (
          { port = usual.port, host = "127.0.0.1", insecure = false, verbose = false, tcp, store },
          signal,
        ) => {
          const server = await import("./serve.ts");
          const stored = withStore(environment, store);
          await server.serve(stored, manifest.version, { port, host, insecure, verbose, tcp }, signal);
        },
      });

    const serve = serving(
      "serve",
      { port: environment.port, about: "IPC_PORT, 9876" },
      {
        summary: "Serve the bus over HTTP",
        details: [
          "Listens on this machine only unless --host says otherwise. Stops, with nothing accepted lost, on Ctrl-C.",
          "Beyond this machine it needs IPC_API_KEY, an operator, or --insecure.",
        ].join("\n"),
        examples: ["el-ipc serve", "el-ipc serve 8080", "IPC_API_KEY=secret el-ipc serve --host 0.0.0.0"],
      },
    );
    const broker = serving(
      "broker",
      { port: BROKER_PORT, about: String(BROKER_PORT) },
      {
        summary: `Serve the bus over HTTP on port ${BROKER_PORT}`,
        details: "The same server as `serve`, where sessions look for their broker.",
        examples: ["el-ipc broker", "el-ipc broker --port 8080 --host 127.0.0.1"],
      },
    );
    const tcpBroker = defineProgramCommand({
      name: "tcp broker",
      summary: "Serve the bus as lines of JSON over TCP",
      details: [
        "A request is a line, and its answer another: post, fetch, wait and status, and whatever else a server is asked.",
        "Where a broker listens there already it says so, and that one is used.",
      ].join("\n"),
      examples: ["el-ipc tcp broker", `echo '{"op":"status"}' | nc -N localhost ${TCP_BROKER_PORT}`],
      outlives: true,
      input: { fields: listening(String(TCP_BROKER_PORT)), positionals: ["port"] },
      run: async ({ port = TCP_BROKER_PORT, host = "127.0.0.1", insecure = false, verbose = false, store }, signal) => {
        const server = await import("./serve.ts");
        const found = await server.serveBroker(
          withStore(environment, store),
          manifest.version,
          { port, host, insecure, verbose },
          signal,
        );
        if (found !== undefined) print(found);
      },
    });

    const mcp = defineProgramCommand({
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
        const server = await import("./mcp.ts");
        const serving = {
          agent: agent ?? environment.agent,
          keyFile: key ?? environment.keyFile,
          // What was typed wins over the environment.
          url: url ?? (store === undefined ? environment.url : undefined),
        };
        await server.serveMcp(withStore(environment, store), manifest.version, serving, signal);
      },
    });

    const STORE = optional(text("The NATS server that keeps the bus (IPC_STORE)"));
    const exporting = defineProgramCommand({
      name: "export",
      summary: "Write the whole bus to a file, as lines of JSON",
      details: [
        "Into a file that holds an export it writes what is new, and so goes on where it was broken off.",
        "Without a file it writes to standard output.",
      ].join("\n"),
      examples: ["el-ipc export bus.jsonl", "el-ipc export | gzip > bus.jsonl.gz"],
      input: {
        fields: { file: optional(text("The file to write, or to go on with")), store: STORE },
        positionals: ["file"],
      },
      run: async ({ file, store }, signal) => {
        const moving = await import("./moving.ts");
        await moving.exportTo(withStore(environment, store), file, signal);
      },
    });
    const importing = defineProgramCommand({
      name: "import",
      summary: "Bring an export into the bus",
      details: [
        "Order, signatures, agents, commands and signals stay as they were; ids become this bus's, and with them the places",
        "that readers had come to. What is there already stays, so that nothing changes where it is imported twice.",
      ].join("\n"),
      examples: ["el-ipc import bus.jsonl", "el-ipc import bus.jsonl --store nats://nats.example.org"],
      input: {
        fields: { file: text("The file; - for standard input"), store: STORE },
        positionals: ["file"],
      },
      run: async ({ file, store }, signal) => {
        const moving = await import("./moving.ts");
        await moving.importFrom(withStore(environment, store), file, signal);
      },
    });

    return await run(
      {
        verbs: [serve, broker, tcpBroker, mcp, ...operations, exporting, importing],
        version: manifest.version,
        open: async (operation, where, token) =>
          where.url === undefined ? near(operation, where) : far(where.url, token),
        pins: createNotes(environment.configFolder),
        self: environment.agent,
        keyFile: environment.keyFile,
        token: environment.token,
        url: environment.url,
        debug: environment.debug,
      },
      typed,
    );
  } catch (error) {
    printNote(`Error: ${isIpcError(error) ? error.message : "Internal error"}`);
    return 1;
  }
}
