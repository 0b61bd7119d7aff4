import type { Fields } from "./fields.ts";
import type { Operation } from "./operation.ts";

/** An operation as a tool that a model calls. Each word of it is paid for in every conversation. */
export interface Tool<F extends Fields, A> {
  readonly name: string;
  readonly about: string;
  /** Its arguments: those fields, each with the name and the words for a model where they are others. */
  readonly arguments: { readonly [K in keyof F & string]?: Argument };
  /** The field that says which session asks; the caller's own fills it. */
  readonly session?: keyof F & string;
  /** What is asked instead while an argument that it can't do without is missing. */
  readonly otherwise?: Operation;
  /** The same call again changes nothing more. */
  readonly repeatable?: true;
  /** The session that an answer has made, which from then on is the caller's own. */
  begins?(answer: A): string;
}

export interface Argument {
  readonly name?: string;
  readonly about?: string;
  /** What its JSON Schema says, where any JSON would be taken but one shape is meant. */
  readonly type?: "string" | "object";
  /** Its value where none is given. */
  readonly usual?: unknown;
}

/** What somebody on the bus wrote. */
export interface Words {
  readonly from: string;
  readonly text: string;
  /** What shows that it is from there; undefined where nothing does. */
  readonly proof?: "verified" | "attested" | undefined;
}

/** Marks words as data from where they come, in a way that they can't undo. */
export type Quote = (words: Words) => string;
