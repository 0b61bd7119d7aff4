import mri from "mri";

export interface Option {
  /** Its name, without the dashes. */
  readonly flag: string;
  /** A single letter for the same option. */
  readonly short?: string;
  readonly description: string;
  /** The placeholder of its value in help. An option without one is a switch. */
  readonly value?: string | undefined;
}

/** An option as it was typed. */
export interface TypedOption<Known extends Option> {
  /** With its dashes, without its value. */
  readonly typed: string;
  /** Undefined where the command has no such option. */
  readonly option: Known | undefined;
  /** Undefined where none was typed. A switch has a value only where one was typed behind `=`. */
  readonly value: string | undefined;
}

export interface SplitArguments<Known extends Option> {
  readonly words: readonly string[];
  readonly options: readonly TypedOption<Known>[];
}

/** What looks like an option. `- a list`, `-1` and `-> there` are words. */
const LONG = /^--([A-Za-z_][\w-]*)(?:=(.*))?$/s;
const SHORT = /^-[A-Za-z_][\w-]*(?=(?:=.*)?$)/s;

/** Marks a word or a value, so that mri neither takes it for an option nor makes a number of it. */
const TEXT = "\u0000";

/**
 * Splits arguments into words and options. A value follows behind `=`, as the next argument, or directly behind a letter,
 * and the letters of switches may be typed together. Everything behind `--` is a word. What is wrong is left to the
 * caller, since each program says that in its own sentences.
 */
export function splitArguments<Known extends Option>(
  typed: readonly string[],
  known: readonly Known[],
): SplitArguments<Known> {
  const end = typed.includes("--") ? typed.indexOf("--") : typed.length;
  const options: TypedOption<Known>[] = [];
  const marked = typed.slice(0, end).flatMap((argument) => {
    const read = readOptions(argument, known);
    options.push(...(read ?? []));
    return read?.flatMap(toLongOption) ?? [TEXT + argument];
  });
  const flagsOf = (isSwitch: boolean) =>
    known.filter(({ value }) => (value === undefined) === isSwitch).map(({ flag }) => flag);
  const parsed = mri([...marked, "--", ...typed.slice(end + 1)], { boolean: flagsOf(true), string: flagsOf(false) });
  const values = new Map(known.map(({ flag }) => [flag, [parsed[flag]].flat()]));
  return {
    words: parsed._.map(withoutMark),
    options: options.map((one) => {
      const value: unknown = one.option?.value === undefined ? undefined : values.get(one.option.flag)?.shift();
      return typeof value === "string" && value.startsWith(TEXT) ? { ...one, value: withoutMark(value) } : one;
    }),
  };
}

/** An option as mri reads it: by its long name. A switch with a value, or an option nobody knows, is the caller's to refuse. */
function toLongOption({ option, value }: TypedOption<Option>): readonly string[] {
  if (option === undefined) return [];
  const hasValue = option.value !== undefined && value !== undefined;
  return [hasValue ? `--${option.flag}=${TEXT}${value}` : `--${option.flag}`];
}

function withoutMark(text: string): string {
  return text.startsWith(TEXT) ? text.slice(TEXT.length) : text;
}

/** The options in one argument; undefined where it is a word. */
function readOptions<Known extends Option>(
  argument: string,
  known: readonly Known[],
): readonly TypedOption<Known>[] | undefined {
  const [, flag, value] = LONG.exec(argument) ?? [];
  if (flag !== undefined) {
    return [{ typed: `--${flag}`, option: known.find((option) => option.flag === flag), value }];
  }
  const letters = readLetters(argument, known);
  if (letters !== undefined) return letters;
  const [typed] = SHORT.exec(argument) ?? [];
  return typed === undefined ? undefined : [{ typed, option: undefined, value: undefined }];
}

/** Reads `-wp80`: switches, and at the end perhaps an option with its value. */
function readLetters<Known extends Option>(
  argument: string,
  known: readonly Known[],
): readonly TypedOption<Known>[] | undefined {
  if (!argument.startsWith("-")) return undefined;
  const options: TypedOption<Known>[] = [];
  for (let at = 1; at < argument.length; at++) {
    const option = known.find(({ short }) => short === argument[at]);
    if (option === undefined) return undefined;
    const rest = argument.slice(at + 1);
    const hasValue = rest !== "" && (option.value !== undefined || rest.startsWith("="));
    options.push({ typed: `-${option.short}`, option, value: hasValue ? rest.replace(/^=/, "") : undefined });
    if (hasValue) break;
  }
  return options.length === 0 ? undefined : options;
}
