import { formatColumns, type Option, splitArguments, type TypedOption } from "../../client/arguments.ts";
import { invalid } from "../../core/errors.ts";

export interface VerbOption extends Option {
  readonly byDefault?: string;
}

export interface Verb {
  readonly name: string;
  readonly summary: string;
  /** The meaning of each word, in order. A name in brackets is optional. */
  readonly words: Readonly<Record<string, string>>;
  readonly options: readonly VerbOption[];
}

export interface Arguments {
  readonly words: readonly string[];
  /** The last value of an option, or its default. */
  text(flag: string): string | undefined;
  has(flag: string): boolean;
  all(flag: string): readonly string[];
}

const HELP: VerbOption = { flag: "help", short: "h", description: "display help for command" };

/** As in the original, the last of several values counts. */
export function parseArguments(verb: Verb, typed: readonly string[]): Arguments {
  const known = [...verb.options, HELP];
  const { words, options } = splitArguments(typed, known);
  for (const option of options) refuseWrong(option);
  const all = (flag: string) =>
    options.flatMap(({ option, value }) => (option?.flag === flag && value !== undefined ? [value] : []));
  const parsed: Arguments = {
    words,
    has: (flag) => options.some(({ option }) => option?.flag === flag),
    all,
    text: (flag) => all(flag).at(-1) ?? known.find((option) => option.flag === flag)?.byDefault,
  };
  const missing = Object.keys(verb.words)
    .slice(words.length)
    .find((word) => !isOptional(word));
  if (missing !== undefined && !parsed.has("help")) throw invalid(`missing required argument '${missing}'`);
  return parsed;
}

function refuseWrong({ typed, option, value }: TypedOption<VerbOption>): void {
  if (option === undefined) throw invalid(`unknown option '${typed}'`);
  if (option.value === undefined && value !== undefined) {
    throw invalid(`Option '${flagsOf(option)}' does not take an argument`);
  }
  if (option.value !== undefined && value === undefined) {
    throw invalid(`Option '${flagsOf({ ...option, value: "value" })}' argument missing`);
  }
}

export function helpOf(verb: Verb): string {
  return [
    `Usage: agent-msg ${usageOf(verb)}`,
    "",
    verb.summary,
    ...section(
      "Arguments",
      Object.entries(verb.words).map(([word, about]) => [word.replace(/[[\]]/g, ""), about]),
    ),
    ...section(
      "Options",
      [...verb.options, HELP].map((option) => [flagsOf(option), describe(option)]),
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
      ...verbs.map((verb): [string, string] => [usageOf(verb), verb.summary]),
      ["help [command]", "display help for command"],
    ]),
  ].join("\n");
}

function usageOf({ name, words }: Verb): string {
  return [name, "[options]", ...Object.keys(words).map((word) => (isOptional(word) ? word : `<${word}>`))].join(" ");
}

function isOptional(word: string): boolean {
  return word.startsWith("[");
}

function flagsOf({ flag, short, value }: Option): string {
  return `${short === undefined ? "" : `-${short}, `}--${flag}${value === undefined ? "" : ` <${value}>`}`;
}

function describe({ description, byDefault }: VerbOption): string {
  return byDefault === undefined ? description : `${description} (default: ${JSON.stringify(byDefault)})`;
}

function section(title: string, rows: readonly (readonly [string, string])[]): readonly string[] {
  if (rows.length === 0) return [];
  return ["", `${title}:`, ...formatColumns(rows)];
}
