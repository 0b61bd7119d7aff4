import { parseArgs } from "node:util";
import type { Bench, Extent } from "./bench.ts";

export interface Options {
  readonly help: boolean;
  readonly json: boolean;
  readonly extent: Extent;
  /** The names of what to measure; all of it where there are none. */
  readonly only: readonly string[];
  readonly original: string | undefined;
}

export function parseOptions(typed: readonly string[], benches: readonly Bench[]): Options {
  const { values } = parseArgs({
    args: [...typed],
    options: {
      help: { type: "boolean", short: "h", default: false },
      json: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      long: { type: "boolean", default: false },
      only: { type: "string" },
      original: { type: "string" },
    },
  });
  const only = values.only?.split(",").filter((name) => name !== "") ?? [];
  const unknown = only.find((name) => !benches.some((bench) => bench.name === name));
  if (unknown !== undefined) {
    throw new Error(`--only ${unknown}: there are ${benches.map(({ name }) => name).join(", ")}`);
  }
  const { help, json, original } = values;
  return { help, json, only, original, extent: values.quick ? "quick" : values.long ? "long" : "usual" };
}

export function helpText(benches: readonly Bench[]): string {
  const width = Math.max(...benches.map(({ name }) => name.length));
  return `Measures el-ipc on this machine, beside what else can do the same work.

Usage: npm run bench -- [options]

Options:
  --only NAME,...  Measure only these; their names are below
  --quick          A few rounds of each: shows that it works, and roughly what to expect
  --long           More rounds, and ten million messages
  --original PATH  Beside the Python original too: its ipc-server.py, run by a python3 that has "cryptography"
  --json           Print one JSON object instead of the table

What it measures:
${benches.map(({ name, about }) => `  ${name.padEnd(width)}  ${about}`).join("\n")}

How to read the table:
  Each figure is the median of its rounds; behind it, in parentheses, the best one: what the machine does when
  nothing disturbs it. Contenders are measured in turn, forwards and backwards, and the first rounds don't count, so
  compare what stands in one line, and not the times of two runs or of two machines.
  "ratio" says how many times as quick (or as small, or as many a second) ours is. Where the target is "of it", it
  is the part that ours takes of the other's time, or reaches of the other's rate.
  "not run" means that what it is compared with isn't here: the original without --original, or a server that isn't
  installed. redis-server, nats-server and mosquitto are found on PATH, started on ports and in folders of
  their own, and stopped again.
  FULL: each message is on the disk before its sender hears of it (IPC_DURABILITY=full, the default). NORMAL: it
  survives a kill, and a power cut may take the last moments.

Close what else keeps the machine busy: how busy others kept it is printed with the table, and above a tenth the
figures say little.`;
}
