import manifest from "../package.json" with { type: "json" };
import { connectClient } from "./client.ts";
import { isIpcError } from "./core/errors.ts";
import { readEnvironment, withStore } from "./environment.ts";
import { seedOperator } from "./operations/agents.ts";
import { operations } from "./operations/index.ts";
import { createProgramCommands } from "./programs.ts";
import { run } from "./surfaces/cli/run.ts";
import { printNote } from "./surfaces/cli/terminal.ts";

void main(process.argv.slice(2)).then((code) => process.exit(code));

async function main(typed: readonly string[]): Promise<number> {
  try {
    const environment = readEnvironment(process.env);
    const { agent, keyFile, token, url, debug } = environment;
    return await run(
      {
        verbs: [...operations, ...createProgramCommands(environment)],
        version: manifest.version,
        connect: ({ store, retry, operation, ...target }) =>
          connectClient({
            ...target,
            environment: withStore(environment, store, retry),
            agent,
            token,
            seeding: operation === seedOperator,
          }),
        self: agent,
        keyFile,
        url,
        debug,
      },
      typed,
    );
  } catch (error) {
    printNote(`Error: ${isIpcError(error) ? error.message : "Internal error"}`);
    return 1;
  }
}
