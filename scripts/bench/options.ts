import { parseArgs } from "node:util";
import type { Bench, Extent } from "./bench.ts";

export interface Options {
  readonly help: boolean;
  readonly json: boolean;
  readonly extent: Extent;
  /** The names of the benches to run; empty for all. */
  readonly only: readonly string[];
  readonly original: string | undefined;
  /** Keep the run, and show it in the documents. */
  readonly write: boolean;
  /** Measure nothing: show the kept run in the documents again. */
  readonly pages: boolean;
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
      write: { type: "boolean", default: false },
      pages: { type: "boolean", default: false },
    },
  });
  const only = values.only?.split(",").filter((name) => name !== "") ?? [];
  const unknown = only.find((name) => !benches.some((bench) => bench.name === name));
  if (unknown !== undefined) {
    throw new Error(`--only ${unknown}: there are ${benches.map(({ name }) => name).join(", ")}`);
  }
  const { help, json, original, write, pages } = values;
  const extent = values.quick ? "quick" : values.long ? "long" : "usual";
  if (write && (extent !== "usual" || only.length > 0 || original === undefined)) {
    throw new Error("--write keeps a whole run: give --original too, and neither --only, --quick nor --long");
  }
  return { help, json, only, original, write, pages, extent };
}

export function helpText(benches: readonly Bench[]): string {
  const width = Math.max(...benches.map(({ name }) => name.length));
  return `Measures el-ipc on this machine, beside other programs that can do the same work.

Usage: npm run bench -- [options]

Options:
  --only NAME,...  Measure only these; their names are below
  --quick          A few rounds of each: shows that it works, and roughly what to expect
  --long           More rounds, and ten million messages
  --original PATH  Beside the Python original too: its ipc-server.py, run by a python3 that has "cryptography"
  --json           Print one JSON object instead of the table
  --write          Keep the run in docs/performance.json, and show it in docs/performance.md and README.md
  --pages          Measure nothing, and show the kept run in these two pages again

What it measures:
${benches.map(({ name, about }) => `  ${name.padEnd(width)}  ${about}`).join("\n")}

How to read the table:
  Each figure is the median of its rounds. The figure in parentheses is the best round: what the machine can do
  when nothing disturbs it. Contenders are measured in turn, forwards and backwards, and the first rounds are dropped.
  Compare figures of one line only, never those of two runs or of two machines.
  "ratio" says how many times as fast, as small or as many ours is. Where the target says "of it", the ratio is the part
  that ours takes of the other's time, or reaches of the other's rate.
  "not run" means that the other program isn't here: the original without --original, or a server that isn't installed.
  redis-server, nats-server and mosquitto are found on PATH, started on ports and in folders of their own, and stopped
  again.
  FULL: each message is on disk before its sender gets an answer (IPC_DURABILITY=full, the default). NORMAL: a message
  survives a killed process, but a power cut may lose the last moments.

Close other programs first: the output says how busy they kept the machine, and above a tenth the figures mean little.`;
}
