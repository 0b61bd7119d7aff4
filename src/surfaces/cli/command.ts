import type { Fields, InputOf } from "../../operations/fields.ts";
import type { Operation } from "../../operations/operation.ts";

/** A verb of the command line's own, which asks nothing of a bus: it starts something. */
export interface Command {
  readonly name: string;
  readonly summary: string;
  readonly details?: string;
  readonly examples: readonly string[];
  readonly input: Fields;
  readonly words: readonly string[];
  /** It goes on when whoever started it is gone. */
  readonly outlives?: true;
  run(input: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<void>;
}

interface Definition<F extends Fields> extends Omit<Command, "input" | "words" | "run"> {
  readonly input: F;
  readonly words: readonly (keyof F & string)[];
  run(input: InputOf<F>, signal: AbortSignal): Promise<void>;
}

/** Checks that a command's parts belong together, then forgets their types, as `operation` does for the table. */
export function command<F extends Fields>(definition: Definition<F>): Command {
  return definition as unknown as Command;
}

export type Verb = Operation | Command;

export function isOperation(verb: Verb): verb is Operation {
  return "access" in verb;
}
