import { type Option, splitArguments, type TypedOption } from "../../client/arguments.ts";
import { invalid } from "../../core/errors.ts";
import { type Field, type Fields, type InputOf, parseTexts } from "../../operations/fields.ts";
import type { InputPart, Operation } from "../../operations/operation.ts";

/** A command that starts a program, and asks nothing of a bus. */
export interface ProgramCommand {
  readonly name: string;
  readonly summary: string;
  readonly details?: string;
  readonly examples: readonly string[];
  readonly input: { readonly fields: Fields; readonly positionals?: readonly string[] };
  /** Whether it keeps running when its parent process ends. */
  readonly outlives?: true;
  run(input: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<void>;
}

interface Definition<F extends Fields> extends Omit<ProgramCommand, "input" | "run"> {
  readonly input: Pick<InputPart<F>, "fields" | "positionals">;
  run(input: InputOf<F>, signal: AbortSignal): Promise<void>;
}

/** Checks that a command's parts match, then erases their types, as `operation` does for the table. */
export function defineProgramCommand<F extends Fields>(definition: Definition<F>): ProgramCommand {
  return definition as unknown as ProgramCommand;
}

export type Verb = Operation | ProgramCommand;

export function isOperation(verb: Verb): verb is Operation {
  return "access" in verb;
}

export function positionalsOf({ input }: Verb): readonly string[] {
  return input.positionals ?? [];
}

export interface Arguments {
  /** Values by field. Texts in files aren't read yet. */
  readonly input: Readonly<Record<string, unknown>>;
  readonly help: boolean;
  readonly json: boolean;
  readonly url: string | undefined;
  readonly store: string | undefined;
  readonly retry: boolean;
  readonly key: string | undefined;
  /** The file that holds the field given as `text`. */
  readonly file: string | undefined;
}

export function parseArguments(verb: Verb, typed: readonly string[], self: string | undefined): Arguments {
  const { words, options } = splitArguments(typed, optionsOf(verb));
  for (const option of options) refuseWrong(verb, option);
  if (options.some(({ option }) => option === HELP)) return HELP_ONLY;

  const given: Record<string, string> = {};
  for (const { option, value = option?.value === undefined ? "true" : "" } of options) {
    if (option === undefined) continue;
    if (given[option.flag] !== undefined) throw invalid(`--${option.flag} is given twice`);
    if (value === "") throw invalid(`--${option.flag} needs a value`);
    given[option.flag] = value;
  }

  const fields = Object.entries(verb.input.fields);
  const named = Object.fromEntries(
    fields.flatMap(([name, field]) => {
      const value = given[flagOf(name, field)];
      return value === undefined ? [] : [[name, value]];
    }),
  );
  const placed = placeWords(verb, words, named, self, given.file !== undefined);
  return {
    input: parseTexts(verb.input.fields, { ...named, ...placed }),
    help: false,
    json: given.json !== undefined,
    url: given.url,
    store: given.store,
    retry: given.retry !== undefined,
    key: given.key,
    file: given.file,
  };
}

const UNSET = { url: undefined, store: undefined, key: undefined, file: undefined };
const HELP_ONLY: Arguments = { input: {}, help: true, json: false, retry: false, ...UNSET };

function refuseWrong(verb: Verb, { typed, option, value }: TypedOption<Option>): void {
  if (option === undefined) {
    const hint = positionalsOf(verb).some((place) => isText(verb, place))
      ? ", or put -- before words that start with a dash"
      : "";
    throw invalid(`unknown option ${typed}; see el-ipc ${verb.name} --help${hint}`);
  }
  if (option.value === undefined && value !== undefined) throw invalid(`${typed} takes no value`);
}

/** A verb's own options come before the common ones. */
export function optionsOf(verb: Verb): readonly Option[] {
  const own = Object.entries(verb.input.fields)
    .filter(([, field]) => !field.wireOnly)
    .map(([name, field]): Option => {
      return { flag: flagOf(name, field), description: field.description, value: placeholderOf(field) };
    });
  if (!isOperation(verb)) return [...own, HELP];
  const text = Object.values(verb.input.fields).some((field) => field.given === "text");
  return [
    ...own,
    ...(verb.signature
      ? [{ flag: "key", description: "Sign with the private key in this file (IPC_KEY)", value: "FILE" }]
      : []),
    ...(verb.http && !verb.signature && (verb.access.level !== "anyone" || verb.access.dependsOnCaller)
      ? [SHOWN_KEY]
      : []),
    ...(text ? [{ flag: "file", description: "Take the text from this file", value: "FILE" }] : []),
    ...(verb.http || verb.signature
      ? [{ flag: "url", description: "Ask the server at this address (IPC_URL)", value: "URL" }]
      : []),
    ...(verb.storeless && !verb.signature ? [] : [STORE, RETRY]),
    { flag: "json", description: "Print the answer as one line of JSON" },
    HELP,
  ];
}

function placeholderOf({ kind, given, schema }: Field): string | undefined {
  if (kind === "flag") return undefined;
  if (schema?.enum !== undefined) return schema.enum.join("|");
  return given === "file" ? "FILE" : kind === "number" ? "N" : "TEXT";
}

const SHOWN_KEY: Option = {
  flag: "key",
  description: "Prove your identity to a server in secure mode with the private key in this file (IPC_KEY)",
  value: "FILE",
};

const STORE: Option = {
  flag: "store",
  description: "Ask the NATS server at this address, which keeps the bus (IPC_STORE)",
  value: "URL",
};

const RETRY: Option = {
  flag: "retry",
  description: "While no NATS server answers, wait for one instead of failing after 10 seconds",
};

const HELP: Option = { flag: "help", short: "h", description: "Print this" };

export function flagOf(name: string, field: Field): string {
  return field.flag ?? name.replaceAll("_", "-");
}

/** Assigns words to the fields without a flag. `self` fills in for one missing word; extra words join a final text. */
function placeWords(
  verb: Verb,
  words: readonly string[],
  named: Readonly<Record<string, string>>,
  self: string | undefined,
  textInFile: boolean,
): Record<string, string> {
  const asker = isOperation(verb) ? verb.input.self : undefined;
  let places = positionalsOf(verb).filter((name) => named[name] === undefined && !(textInFile && isText(verb, name)));
  const placed: Record<string, string> = {};
  const left = asker !== undefined && named[asker] === undefined;
  if (left && self !== undefined) refuseUnclear(verb, words, places, asker, self);
  if (left && self !== undefined && (!places.includes(asker) || words.length < places.length)) {
    placed[asker] = self;
    places = places.filter((name) => name !== asker);
  }
  const last = places.at(-1);
  if (words.length > places.length && (last === undefined || !isText(verb, last))) {
    throw invalid(`${JSON.stringify(words[places.length])} is one word too many; see el-ipc ${verb.name} --help`);
  }
  for (const [index, name] of places.entries()) {
    const word = name === last && index < words.length ? words.slice(index).join(" ") : words[index];
    if (word === "") refuseEmpty(verb, name);
    else if (word !== undefined) placed[name] = word;
  }
  return placed;
}

/** An empty word may be an unset shell variable, and must not select everything. Required fields are checked elsewhere. */
function refuseEmpty(verb: Verb, name: string): void {
  if (verb.input.fields[name]?.optional && !isText(verb, name))
    throw invalid(`the ${name} is empty; leave it out, or name one`);
}

/** `send CHANNEL hello world` is ambiguous where IPC_AGENT is set: `hello` may be the sender or part of the text. */
function refuseUnclear(
  verb: Verb,
  words: readonly string[],
  places: readonly string[],
  asker: string,
  self: string,
): void {
  const place = places.indexOf(asker);
  const [name = "", ...text] = words.slice(place);
  if (place !== places.length - 2 || !isText(verb, places.at(-1) ?? "") || words.length < places.length) return;
  if (name === self || text.join(" ") === "-" || text.some((word) => /\s/.test(word))) return;
  throw invalid(
    `IPC_AGENT says that you are ${self}: is ${JSON.stringify(name)} the ${asker}, or a part of the text? ` +
      `Put quotes around the text, or say --${asker} ${name}`,
  );
}

function isText(verb: Verb, name: string): boolean {
  return verb.input.fields[name]?.given === "text";
}
