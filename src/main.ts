import manifest from "../package.json" with { type: "json" };
import { noBus } from "./core/bus.ts";
import { THIS_PROCESS } from "./core/caller.ts";
import { isIpcError } from "./core/errors.ts";
import { readEnvironment } from "./environment.ts";
import { createNotes } from "./notes.ts";
import { openBus } from "./open.ts";
import { seedOperator } from "./operations/agents.ts";
import { flag, name, optional, text, whole } from "./operations/fields.ts";
import { operations } from "./operations/index.ts";
import type { Operation } from "./operations/operation.ts";
import { type Door, perform } from "./operations/perform.ts";
import { command } from "./surfaces/cli/command.ts";
import { run, type TokenSource } from "./surfaces/cli/run.ts";
import { printNote } from "./surfaces/cli/terminal.ts";
import { httpDoor } from "./surfaces/http/client.ts";

void main(process.argv.slice(2)).then((code) => process.exit(code));

async function main(typed: readonly string[]): Promise<number> {
  try {
    const environment = readEnvironment(process.env);

    const near = async (operation: Operation): Promise<Door & AsyncDisposable> => {
      const bus = operation.detached
        ? noBus
        : await openBus(environment, { port: () => environment.port, seeding: operation === seedOperator });
      const door: Door = (asked, input, signal) => perform(bus, asked, input, { caller: THIS_PROCESS, signal });
      return Object.assign(door, { [Symbol.asyncDispose]: async () => bus[Symbol.asyncDispose]() });
    };
    const far = (url: string, token: TokenSource): Door & AsyncDisposable =>
      Object.assign(httpDoor({ url, apiKey: environment.apiKey, token }), { [Symbol.asyncDispose]: async () => {} });

    const serve = command({
      name: "serve",
      summary: "Serve the bus over HTTP",
      details: [
        "Listens on this machine only unless --host says otherwise. Stops, with nothing accepted lost, on Ctrl-C.",
        "Beyond this machine it needs IPC_API_KEY, an operator, or --insecure.",
      ].join("\n"),
      examples: ["el-ipc serve", "el-ipc serve 8080", "IPC_API_KEY=secret el-ipc serve --host 0.0.0.0"],
      input: {
        port: optional(whole("The port to listen on; 0 for any (IPC_PORT, 9876)", { least: 0, most: 65_535 })),
        host: optional(text("The address to listen on (127.0.0.1)")),
        insecure: flag("Let in whoever reaches it, from anywhere, without a key"),
        verbose: flag("Log each request"),
      },
      words: ["port"],
      outlives: true,
      run: async ({ port, host, insecure, verbose }, signal) => {
        const server = await import("./serve.ts");
        const serving = {
          port: port ?? environment.port,
          host: host ?? "127.0.0.1",
          insecure: insecure ?? false,
          verbose: verbose ?? false,
        };
        await server.serve(environment, manifest.version, serving, signal);
      },
    });

    const mcp = command({
      name: "mcp",
      summary: "Serve the bus to an MCP client over standard input and output",
      details: "Ends with its input. In secure mode it acts as the agent whose key it has.",
      examples: ["el-ipc mcp", "IPC_AGENT=herald IPC_KEY=herald.key el-ipc mcp"],
      input: {
        agent: optional(name("The registered agent that the client is (IPC_AGENT)")),
        key: optional(text("The file of its private key (IPC_KEY)", { given: "file" })),
        url: optional(text("Ask the server at this address (IPC_URL)")),
      },
      words: [],
      run: async ({ agent, key, url }, signal) => {
        const server = await import("./mcp.ts");
        const serving = {
          agent: agent ?? environment.agent,
          keyFile: key ?? environment.keyFile,
          url: url ?? environment.url,
        };
        await server.serveMcp(environment, manifest.version, serving, signal);
      },
    });

    return await run(
      {
        verbs: [serve, mcp, ...operations],
        version: manifest.version,
        open: async (operation, url, token) => (url === undefined ? near(operation) : far(url, token)),
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
