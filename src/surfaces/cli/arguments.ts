import mri from "mri";
import { invalid } from "../../core/errors.ts";
import type { Field } from "../../operations/fields.ts";
import { fromText } from "../../operations/input.ts";
import { isOperation, type Verb } from "./command.ts";

export interface Arguments {
  /** What the words and flags say, by field; texts from files not read yet. */
  readonly input: Readonly<Record<string, unknown>>;
  readonly help: boolean;
  readonly json: boolean;
  readonly url: string | undefined;
  readonly key: string | undefined;
  /** The file that holds the field given as `text`. */
  readonly file: string | undefined;
}

export interface Option {
  readonly flag: string;
  readonly about: string;
  readonly value: string | undefined;
}

/** A lone dash, which means standard input; the parser would take it for the start of a flag. */
const DASH = "\u0000-";

/** Reads what was typed behind a verb. */
export function parseArguments(verb: Verb, typed: readonly string[], self: string | undefined): Arguments {
  const options = optionsOf(verb);
  const flags = options.filter(({ value }) => value === undefined).map(({ flag }) => flag);
  const texts = options.filter(({ value }) => value !== undefined).map(({ flag }) => flag);
  const unknown: string[] = [];
  const end = typed.indexOf("--");
  const dashed = typed.map((word, index) => (word === "-" && (end === -1 || index < end) ? DASH : word));
  const parsed = mri([...dashed], {
    boolean: flags,
    string: texts,
    // The parser knows only the flags that stand here.
    alias: { ...Object.fromEntries(options.map(({ flag }) => [flag, []])), help: ["h"] },
    unknown: (flag) => unknown.push(flag),
  });
  if (unknown[0] !== undefined) throw invalid(`unknown option ${unknown[0]}; see el-ipc ${verb.name} --help`);

  const given: Record<string, string> = {};
  for (const { flag } of options) {
    const value: unknown = parsed[flag];
    if (value === undefined || value === false) continue;
    if (Array.isArray(value)) throw invalid(`--${flag} is given twice`);
    if (value === "" && texts.includes(flag)) throw invalid(`--${flag} needs a value`);
    given[flag] = value === DASH ? "-" : String(value);
  }

  const fields = Object.entries(verb.input);
  const named = Object.fromEntries(
    fields.flatMap(([name, field]) => {
      const value = given[flagOf(name, field)];
      return value === undefined ? [] : [[name, value]];
    }),
  );
  const words = parsed._.map((word) => (word === DASH ? "-" : word));
  const placed = placeWords(verb, words, named, self, given.file !== undefined);
  return {
    input: fromText(verb.input, { ...named, ...placed }),
    help: parsed.help === true,
    json: parsed.json === true,
    url: given.url,
    key: given.key,
    file: given.file,
  };
}

/** Every option of a verb, its own before those that all have. */
export function optionsOf(verb: Verb): readonly Option[] {
  const own = Object.entries(verb.input)
    .filter(([, field]) => !field.wireOnly)
    .map(([name, field]): Option => {
      const value =
        field.kind === "flag" ? undefined : field.given === "file" ? "FILE" : field.kind === "number" ? "N" : "TEXT";
      return { flag: flagOf(name, field), about: field.about, value };
    });
  if (!isOperation(verb)) return [...own, HELP];
  const text = Object.values(verb.input).some((field) => field.given === "text");
  return [
    ...own,
    ...(verb.sign ? [{ flag: "key", about: "Sign with the private key in this file (IPC_KEY)", value: "FILE" }] : []),
    ...(verb.http && !verb.sign && verb.access !== "anyone" ? [SHOWN_KEY] : []),
    ...(text ? [{ flag: "file", about: "Take the text from this file", value: "FILE" }] : []),
    ...(verb.http || verb.sign
      ? [{ flag: "url", about: "Ask the server at this address (IPC_URL)", value: "URL" }]
      : []),
    { flag: "json", about: "Print the answer as one line of JSON", value: undefined },
    HELP,
  ];
}

const SHOWN_KEY: Option = {
  flag: "key",
  about: "Show a server in secure mode who asks, by the private key in this file (IPC_KEY)",
  value: "FILE",
};

const HELP: Option = { flag: "help", about: "Print this", value: undefined };

function flagOf(name: string, field: Field): string {
  return field.flag ?? name.replaceAll("_", "-");
}

/** Gives the words to the fields that no flag named. One too few leaves who asks to `self`; too many are one text. */
function placeWords(
  verb: Verb,
  words: readonly string[],
  named: Readonly<Record<string, string>>,
  self: string | undefined,
  textInFile: boolean,
): Record<string, string> {
  const asker = isOperation(verb) ? verb.self : undefined;
  let places = verb.words.filter((name) => named[name] === undefined && !(textInFile && isText(verb, name)));
  const placed: Record<string, string> = {};
  if (asker !== undefined && self !== undefined && places.includes(asker) && words.length < places.length) {
    placed[asker] = self;
    places = places.filter((name) => name !== asker);
  }
  const last = places.at(-1);
  if (words.length > places.length && (last === undefined || !isText(verb, last))) {
    throw invalid(`${JSON.stringify(words[places.length])} is one word too many; see el-ipc ${verb.name} --help`);
  }
  for (const [index, name] of places.entries()) {
    const word = name === last ? words.slice(index).join(" ") : words[index];
    if (word !== undefined && word !== "") placed[name] = word;
  }
  return placed;
}

function isText(verb: Verb, name: string): boolean {
  return verb.input[name]?.given === "text";
}
