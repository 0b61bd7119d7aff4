export interface Option {
  /** Its name, without the dashes. */
  readonly flag: string;
  /** A single letter for the same option. */
  readonly short?: string;
  readonly about: string;
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
  const words: string[] = [];
  const options: TypedOption<Known>[] = [];
  for (let at = 0; at < end; at++) {
    const argument = typed[at] ?? "";
    const read = readOptions(argument, known);
    options.push(...(read ?? []));
    if (read === undefined) words.push(argument);
    const last = read?.at(-1);
    const next = at + 1 < end ? typed[at + 1] : undefined;
    const needsValue = last?.option?.value !== undefined && last.value === undefined;
    if (!needsValue || next === undefined || readOptions(next, known) !== undefined) continue;
    options[options.length - 1] = { ...last, value: next };
    at++;
  }
  return { words: [...words, ...typed.slice(end + 1)], options };
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
