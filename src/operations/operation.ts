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
 * One thing that the bus can do: a row of the table. Every surface is made from it: the command line its verb, words and
 * flags, HTTP its route, MCP its tool, the help and the documents their text.
 */
export interface OperationDefinition<F extends Fields, A, B extends StorelessBus = Bus> {
  /** The verb. */
  readonly name: string;
  readonly summary: string;
  /** Further help, where one line isn't enough. */
  readonly details?: string;
  readonly examples: readonly string[];
  readonly access: AccessPart<F>;
  /** Method and path. Without it no network can ask for the operation. */
  readonly http?: `${"GET" | "POST" | "DELETE"} /${string}`;
  /** The operation answers with an async iterable. */
  readonly stream?: true;
  /** Repeating the operation changes nothing more. */
  readonly idempotent?: true;
  /** The operation uses nothing stored, so no store is opened for it: `defineStoreless` makes its definition. */
  readonly storeless?: true;
  /** The operation is no verb: another operation settles with it, or only a model asks for it. */
  readonly hidden?: true;
  readonly input: InputPart<F>;
  readonly signature?: SignaturePart<F>;

  /** Carries the operation out. Answers with a promise for one answer, or with an async iterable for a stream. */
  run(bus: B, input: InputOf<F>, context: Context): Promise<A> | AsyncIterable<A>;

  readonly waits?: WaitPart<F, NoInfer<A>>;
  readonly after?: AfterPart<F, NoInfer<A>>;
  readonly output?: OutputPart<F, NoInfer<A>>;
  readonly tool?: Tool<F, NoInfer<A>>;
}

/** Input: the fields of a request, and how surfaces fill them. */
export interface InputPart<F extends Fields> {
  readonly fields: F;
  /** The fields that a command line takes without their names, in order. */
  readonly positionals?: readonly (keyof F & string)[];
  /** The field that names the asker; a command line fills it from IPC_AGENT. */
  readonly self?: keyof F & string;
  /** The field that is the whole body of an HTTP request; the others then stand in its address. */
  readonly body?: keyof F & string;
}

/** Access: what the caller must prove before the operation runs. */
export interface AccessPart<F extends Fields> {
  readonly level: Access;
  /** The agent and channel that are asked about, where the fields `agent` and `channel` don't say it. */
  subject?(input: InputOf<F>): AccessRequest;
  /** Whether the answer depends on the caller, at a level that admits anyone. Clients then show who they are. */
  dependsOnCaller?(input: InputOf<F>): boolean;
}

/** Signature: how the asker's private key signs a request. */
export interface SignaturePart<F extends Fields> {
  /** The field that names the owner of the key, where that isn't the asker. */
  readonly by?: keyof F & string;
  /** The operation fails without a signature, so a client asks for the key at once. */
  readonly required?: true;
  /** Returns the input with its signature. Runs on the asker's side. */
  add(input: InputOf<F>, signer: Signer): Promise<InputOf<F>>;
}

/** Waits: operations that may wait for something to happen. */
export interface WaitPart<F extends Fields, A> {
  isWaiting(input: InputOf<F>): boolean;
  /** Whether the answer says that the time was up. A null answer always says so. */
  isTimeout?(answer: A, input: InputOf<F>): boolean;
}

/** After: what follows once it is known whether the answer reached the asker. */
export interface AfterPart<F extends Fields, A> {
  delivered?(answer: A, input: InputOf<F>): FollowUp | undefined;
  /** What is performed when an answer can't reach the asker. */
  lost?(answer: A, input: InputOf<F>): FollowUp | undefined;
  /** Requests that the asker makes next, all at once, and shows the answers of. A server leaves them to the asker. */
  next?(answer: A, input: InputOf<F>): readonly FollowUp[];
  /** Requests of one turn are answered one by one, each after the follow-up of the one before. */
  turn?(input: InputOf<F>): string;
}

/** Output: the answer, or each answer of a stream, as people and models read it. */
export interface OutputPart<F extends Fields, A> {
  /** Plain text on standard output; one line of JSON unless given. */
  text?(answer: A, input: InputOf<F>): string;
  /** Text for a model, with the words of others marked as theirs; `text` unless given. */
  model?(answer: A, input: InputOf<F>, quote: Quote): string;
  /** A remark beside the answer, on standard error. */
  note?(answer: A, input: InputOf<F>): string | undefined;
  /** Files that a command line writes. */
  files?(answer: A, input: InputOf<F>): readonly AnswerFile[];
  /** Whether the text is a private key. */
  isSecret?(input: InputOf<F>): boolean;
  /** The reason why the answer is a failure, if it is one: a command line prints it and exits with 1. */
  failure?(answer: A, input: InputOf<F>): string | undefined;
  /** The progress of long work, for answers of a stream that report it. */
  progress?(answer: A): { readonly done: number; readonly of: number } | undefined;
  /** Whether a stream ends with this answer. A stream without it goes on for as long as it is read. */
  isLast?(answer: A): boolean;
}

export type Operation = OperationDefinition<Fields, unknown>;

/** The part of a bus that works without a store. */
export type StorelessBus = Pick<Bus, "link">;

/** An operation that needs no store. */
export type StorelessOperation = OperationDefinition<Fields, unknown, StorelessBus> & { readonly storeless: true };

export function isStoreless(operation: Operation): operation is StorelessOperation {
  return operation.storeless === true;
}

/** What follows from an answer that arrived, or didn't. */
export function followUpOf(
  operation: Operation,
  answer: unknown,
  input: Readonly<Record<string, unknown>>,
  arrived: boolean,
): FollowUp | undefined {
  return arrived ? operation.after?.delivered?.(answer, input) : operation.after?.lost?.(answer, input);
}

/** Whether a request asks to wait for something. */
export function isWaiting({ waits }: Operation, input: Readonly<Record<string, unknown>>): boolean {
  return waits?.isWaiting(input) ?? false;
}

/** An answer as plain text. */
export function formatAnswer({ output }: Operation, answer: unknown, input: Readonly<Record<string, unknown>>): string {
  return output?.text === undefined ? JSON.stringify(answer) : output.text(answer, input);
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
    readonly input: { readonly self?: Self };
    readonly stream?: Stream;
    readonly hidden?: Hidden;
    readonly storeless?: never;
  },
): Operation & Typed<Name, InputOf<F>, A, Self, Stream, Hidden> {
  return definition as unknown as Operation & Typed<Name, InputOf<F>, A, Self, Stream, Hidden>;
}

/** Defines an operation that needs no store. */
export function defineStoreless<
  const Name extends string,
  F extends Fields,
  A,
  Self extends keyof F & string = never,
  Hidden extends boolean = false,
>(
  definition: OperationDefinition<F, A, StorelessBus> & {
    readonly name: Name;
    readonly input: { readonly self?: Self };
    readonly stream?: never;
    readonly hidden?: Hidden;
    readonly storeless: true;
  },
): Operation & Typed<Name, InputOf<F>, A, Self, false, Hidden> {
  return definition as unknown as Operation & Typed<Name, InputOf<F>, A, Self, false, Hidden>;
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
