import { invalid } from "../../core/errors.ts";

export interface Option {
  readonly short?: string;
  readonly about: string;
  /** What stands for its value; without it the option is a switch. */
  readonly value?: string;
  readonly byDefault?: string;
}

export interface Verb {
  readonly name: string;
  readonly summary: string;
  /** In order; those in brackets may be left out. */
  readonly words: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, Option>>;
  /** It goes on when whoever started it is gone. */
  readonly outlives?: true;
}

export interface Given {
  readonly words: readonly string[];
  text(option: string): string | undefined;
  has(option: string): boolean;
  /** Each value of an option that may be given more than once. */
  all(option: string): readonly string[];
}

const HELP: Readonly<Record<string, Option>> = { help: { short: "h", about: "display help for command" } };

/** Reads what was typed behind a verb, the way the original does. */
export function parseArguments(verb: Verb, typed: readonly string[]): Given {
  const options = { ...verb.options, ...HELP };
  const { parseArgs } = process.getBuiltinModule("node:util");
  const { values, positionals } = parsed(() =>
    parseArgs({
      args: [...typed],
      allowPositionals: true,
      options: Object.fromEntries(
        Object.entries(options).map(([name, { short, value }]) => [
          name,
          { type: value === undefined ? "boolean" : "string", multiple: true, ...(short ? { short } : {}) },
        ]),
      ),
    }),
  );
  const all = (option: string) => (values[option] ?? []).filter((value) => typeof value === "string");
  const given: Given = {
    words: positionals,
    has: (option) => values[option] !== undefined,
    all,
    text: (option) => all(option).at(-1) ?? options[option]?.byDefault,
  };
  const [missing] = Object.keys(verb.words)
    .slice(positionals.length)
    .filter((word) => !word.startsWith("["));
  if (missing !== undefined && !given.has("help")) throw invalid(`missing required argument '${missing}'`);
  return given;
}

function parsed<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    const [sentence = ""] = (error instanceof Error ? error.message : String(error)).split(/\. |\n/);
    throw invalid(sentence.replace(/^U/, "u"));
  }
}

export function helpOf({ name, summary, words, options }: Verb): string {
  const usage = Object.keys(words).map((word) => (word.startsWith("[") ? word : `<${word}>`));
  return [
    `Usage: agent-msg ${[name, "[options]", ...usage].join(" ")}`,
    "",
    summary,
    ...section(
      "Arguments",
      Object.entries(words).map(([word, about]) => [word.replace(/[[\]]/g, ""), about]),
    ),
    ...section(
      "Options",
      Object.entries({ ...options, ...HELP }).map(([long, option]) => [flagsOf(long, option), aboutOf(option)]),
    ),
  ].join("\n");
}

export function overview(verbs: readonly Verb[]): string {
  return [
    "Usage: agent-msg [options] [command]",
    "",
    "Inter-agent communication, by files and on the bus of el-ipc",
    ...section("Options", [
      ["-V, --version", "output the version number"],
      ["-h, --help", "display help for command"],
    ]),
    ...section("Commands", [
      ...verbs.map(({ name, words, summary }): [string, string] => [
        [name, "[options]", ...Object.keys(words).map((word) => (word.startsWith("[") ? word : `<${word}>`))].join(" "),
        summary,
      ]),
      ["help [command]", "display help for command"],
    ]),
  ].join("\n");
}

function flagsOf(long: string, { short, value }: Option): string {
  return `${short === undefined ? "" : `-${short}, `}--${long}${value === undefined ? "" : ` <${value}>`}`;
}

function aboutOf({ about, byDefault }: Option): string {
  return byDefault === undefined ? about : `${about} (default: ${JSON.stringify(byDefault)})`;
}

function section(title: string, rows: readonly (readonly [string, string])[]): readonly string[] {
  if (rows.length === 0) return [];
  const width = Math.max(...rows.map(([left]) => left.length));
  return ["", `${title}:`, ...rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`)];
}
