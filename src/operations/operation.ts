import type { KeyObject } from "node:crypto";
import type { Access, AccessRequest, Caller } from "../core/access.ts";
import type { Bus } from "../core/bus.ts";
import type { Stamp } from "../core/signature.ts";
import type { Fields, InputOf } from "./fields.ts";

export interface Context {
  readonly caller: Caller;
  readonly signal: AbortSignal;
}

/** Whoever signs on the caller's side: it knows the key, and for which bus it signs. */
export interface Signer {
  readonly key: KeyObject;
  /** The bus's DID; empty in open mode. */
  audience(): Promise<string>;
  stamp(): Promise<Stamp>;
  token(agent: string, seconds: number): Promise<string>;
  ask(operation: Operation, input: unknown): Promise<unknown>;
}

/** What is performed once an answer has reached whoever asked. */
export interface FollowUp {
  readonly operation: Operation;
  readonly input: unknown;
}

/** A file that an answer asks a command line to write. */
export interface AnswerFile {
  readonly path: string;
  readonly text: string;
  readonly secret: boolean;
}

/**
 * One thing that the bus can do, said once. Every surface projects this: the command line its verb, words and flags,
 * HTTP its route, MCP its tool, help and documents their text.
 */
export interface OperationDefinition<F extends Fields, A> {
  /** The verb. */
  readonly name: string;
  readonly summary: string;
  /** More than a line for its help, where a line isn't enough. */
  readonly details?: string;
  readonly examples: readonly string[];
  readonly access: Access;
  /** Method and path. Without it nothing on a network can ask for this. */
  readonly http?: `${"GET" | "POST" | "DELETE"} /${string}`;
  /** What a model is told of it, where it is an MCP tool. */
  readonly tool?: Tool<F, A>;
  /** The field that is the whole body of a request; the others then stand in its address. */
  readonly body?: keyof F & string;
  readonly input: F;
  /** The fields that a command line takes without naming them, in order. */
  readonly positionals: readonly (keyof F & string)[];
  /** The field that says who asks; a command line may leave it to IPC_AGENT. */
  readonly self?: keyof F & string;
  /** The field that says whose key signs it, where that isn't who asks. */
  readonly signedBy?: keyof F & string;
  /** It answers with an async iterable. */
  readonly stream?: true;
  /** Done twice it is as if done once. */
  readonly idempotent?: true;
  /** It works on nothing stored, so no store is opened for it. */
  readonly detached?: true;
  /** It is no verb: another operation settles with it, or a model alone asks for it. */
  readonly hidden?: true;

  /** Whether it matters who asks, where anyone may. */
  knowsAsker?(input: InputOf<F>): boolean;

  /** Whose things it asks for, where its fields don't say it by the names agent and channel. */
  asks?(input: InputOf<F>): AccessRequest;

  /** A promise for one answer, or an async iterable for a stream of them. */
  run(bus: Bus, input: InputOf<F>, context: Context): Promise<A> | AsyncIterable<A>;

  /** The answer, or each of a stream, as plain text. */
  show(answer: NoInfer<A>, input: InputOf<F>): string;

  /** The same for a model, with what others wrote marked as theirs. */
  tell?(answer: A, input: InputOf<F>, quote: Quote): string;

  /** What a person should know beside the answer. */
  note?(answer: A, input: InputOf<F>): string | undefined;

  /** Whether what is shown is a private key. */
  secret?(input: InputOf<F>): boolean;

  files?(answer: A, input: InputOf<F>): readonly AnswerFile[];

  /** Without a signature it comes to nothing, so a command line asks for the key at once. */
  readonly mustSign?: true;

  /** The same input, signed. */
  sign?(input: InputOf<F>, signer: Signer): Promise<InputOf<F>>;

  delivered?(answer: A, input: InputOf<F>): FollowUp | undefined;

  /** What whoever asked waits for next, all of it at once, and is shown. A server leaves that to them. */
  next?(answer: A, input: InputOf<F>): readonly FollowUp[];

  /** What is performed when an answer can't reach whoever asked. */
  lost?(answer: A, input: InputOf<F>): FollowUp | undefined;

  /** Of two askers of one turn, the second is answered once the first one's answer has settled. */
  turn?(input: InputOf<F>): string;

  /** Whether this input asks to wait for something. */
  waits?(input: InputOf<F>): boolean;

  /** Whether this answer of a wait says that the time was up; null does in any case. */
  nothing?(answer: A, input: InputOf<F>): boolean;

  /** Why this answer isn't what was asked for, if it isn't: a command line ends in failure then. */
  failure?(answer: A, input: InputOf<F>): string | undefined;

  /** Whether a stream is over with this answer. One of which none ever is goes on for as long as anybody reads it. */
  isLast?(answer: A): boolean;

  /** How far a long work is; undefined for an answer that isn't about that. */
  progress?(answer: A): { readonly done: number; readonly of: number } | undefined;
}

export type Operation = OperationDefinition<Fields, unknown>;

/** What follows from an answer that arrived, or didn't. */
export function followUpOf(
  operation: Operation,
  answer: unknown,
  input: Readonly<Record<string, unknown>>,
  arrived: boolean,
): FollowUp | undefined {
  return arrived ? operation.delivered?.(answer, input) : operation.lost?.(answer, input);
}

declare const types: unique symbol;

/** What an operation is called, takes and answers, for a caller that names it. Nothing of this is there at run time. */
export interface Typed<Name extends string, Input, Answer, Self, Stream, Hidden = false> {
  readonly name: Name;
  readonly [types]?: {
    readonly input: Input;
    readonly answer: Answer;
    readonly self: Self;
    readonly stream: Stream;
    readonly hidden: Hidden;
  };
}

/** An operation of which one knows what it answers, or what each of its stream is. */
export type Answering<Answer> = Operation & Typed<string, unknown, Answer, unknown, unknown, unknown>;

/**
 * Checks that an operation's parts belong together, then forgets how: a table holds operations of any kind. That is
 * sound because `run` is only given what parseInput made of the same fields, and the rest only what `run` answered.
 */
export function defineOperation<
  const Name extends string,
  F extends Fields,
  A,
  Self extends keyof F & string = never,
  Stream extends boolean = false,
  Hidden extends boolean = false,
>(
  definition: OperationDefinition<F, A> & {
    readonly name: Name;
    readonly self?: Self;
    readonly stream?: Stream;
    readonly hidden?: Hidden;
  },
): Operation & Typed<Name, InputOf<F>, A, Self, Stream, Hidden> {
  return definition as unknown as Operation & Typed<Name, InputOf<F>, A, Self, Stream, Hidden>;
}

export function isStream(answer: unknown): answer is AsyncIterable<unknown> {
  return typeof answer === "object" && answer !== null && Symbol.asyncIterator in answer;
}

/** JSON as the original prints lists. */
export function indented(value: unknown): string {
  return JSON.stringify(value, null, 2);
}

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
export interface QuotedText {
  readonly from: string;
  readonly text: string;
  /** What shows that it is from there; undefined where nothing does. */
  readonly proof?: "verified" | "attested" | undefined;
}

/** Marks words as data from where they come, in a way that they can't undo. */
export type Quote = (words: QuotedText) => string;

/** A verb as the name of a method: `channel send` is `channelSend`. */
export function methodName(verb: string): string {
  return verb.replace(/[ -](.)/g, (_, letter: string) => letter.toUpperCase());
}

export type MethodName<Verb extends string> = Verb extends `${infer First} ${infer Rest}`
  ? `${MethodName<First>}${Capitalize<MethodName<Rest>>}`
  : Verb extends `${infer First}-${infer Rest}`
    ? `${First}${Capitalize<MethodName<Rest>>}`
    : Verb;
