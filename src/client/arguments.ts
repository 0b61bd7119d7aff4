import mri from "mri";

export interface Option {
  readonly flag: string;
  readonly short?: string;
  readonly description: string;
  /** The placeholder of its value in help. An option without one is a switch. */
  readonly value?: string | undefined;
}

export interface TypedOption<Known extends Option> {
  /** Includes the dashes, but not the value. */
  readonly typed: string;
  readonly option: Known | undefined;
  /** A switch has a value only if one was typed after `=`. */
  readonly value: string | undefined;
}

/** Options start with a letter: `- a list`, `-1` and `-> there` are words. */
const LONG = /^--([A-Za-z_][\w-]*)(?:=(.*))?$/s;
const SHORT = /^-[A-Za-z_][\w-]*(?=(?:=.*)?$)/s;

/** Marks a word or value, so that mri doesn't parse it as an option or a number. */
const TEXT = "\u0000";

/**
 * Splits arguments into words and options. A value follows `=`, is the next argument, or directly follows a letter;
 * letters of switches may be combined. Everything after `--` is a word. Errors are left to the caller, since each
 * program words them differently.
 */
export function splitArguments<Known extends Option>(
  typed: readonly string[],
  known: readonly Known[],
): { readonly words: readonly string[]; readonly options: readonly TypedOption<Known>[] } {
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

/** Names an option by its long name for mri. The caller refuses unknown options, and switches with a value. */
function toLongOption({ option, value }: TypedOption<Option>): readonly string[] {
  if (option === undefined) return [];
  const hasValue = option.value !== undefined && value !== undefined;
  return [hasValue ? `--${option.flag}=${TEXT}${value}` : `--${option.flag}`];
}

/** Aligns the rows of a help text in two columns. */
export function formatColumns(rows: readonly (readonly [string, string])[]): readonly string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}

function withoutMark(text: string): string {
  return text.startsWith(TEXT) ? text.slice(TEXT.length) : text;
}

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

/** Reads `-wp80`: switches, optionally followed by an option with its value. */
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
