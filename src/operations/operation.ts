import type { KeyObject } from "node:crypto";
import type { Access, AccessRequest, Caller } from "../core/access.ts";
import type { Bus } from "../core/bus.ts";
import type { Stamp } from "../core/signature.ts";
import { type Fields, type InputOf, parseInput } from "./fields.ts";

export interface Context {
  readonly caller: Caller;
  readonly signal: AbortSignal;
}

/** The asker's key, and the bus that it signs for. */
export interface Signer {
  readonly key: KeyObject;
  /** The bus's DID; empty in open mode. */
  audience(): Promise<string>;
  stamp(): Promise<Stamp>;
  token(agent: string, seconds: number): Promise<string>;
  ask<O extends Operation>(request: Request<O>): Promise<AnswerTo<O>>;
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
  readonly input: InputPart<F>;
  readonly signature?: SignaturePart<F>;

  /** Carries the operation out. Answers with a promise for one answer, or with an async iterable for a stream. */
  run(bus: B, input: InputOf<F>, context: Context): Promise<A> | AsyncIterable<A>;

  readonly waits?: WaitPart<F, NoInfer<A>>;
  readonly after?: AfterPart<F, NoInfer<A>, B>;
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
  /** Throws where fields that are right by themselves don't fit together. */
  check?(input: InputOf<F>): void;
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
export interface AfterPart<F extends Fields, A, B> {
  /**
   * The request that confirms to the bus that the answer arrived. A server performs it, and so does a client on its own
   * bus; a client of a server sends it, so its operation has `http`.
   */
  confirm?(answer: A, input: InputOf<F>): Request | undefined;
  /** Runs on the bus after the answer has arrived; for operations without `http`. */
  delivered?(bus: B, answer: A, input: InputOf<F>): Promise<void>;
  /** Runs on the bus when the answer can't reach the asker, and gives back what was handed out. */
  lost?(bus: B, answer: A, input: InputOf<F>): Promise<void>;
  /** Requests that the asker makes next, all at once. A server leaves them to the asker. */
  next?(answer: A, input: InputOf<F>): readonly NextRequest[];
  /** Requests of one turn are answered one by one, each after the answer before it was settled. */
  turn?(input: InputOf<F>): string;
}

export interface NextRequest {
  readonly request: Request;
  /** The asker is shown its answer, in place of the first one. Otherwise only its failure is reported. */
  readonly isShown: boolean;
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

type Values = Readonly<Record<string, unknown>>;

declare const TYPES: unique symbol;

/** An operation's name, input and answer, for callers that name the operation. They exist only as types. */
export interface Typed<Name extends string, Input, Answer, Self, Stream> {
  readonly name: Name;
  readonly [TYPES]?: {
    readonly input: Input;
    readonly answer: Answer;
    readonly self: Self;
    readonly stream: Stream;
  };
}

export type InputFor<O> =
  O extends Typed<string, infer Input extends Values, infer _A, infer _Self, infer _S> ? Input : Values;

/** One answer of an operation, or one item of its stream. */
export type ItemOf<O> = O extends Typed<string, infer _I, infer Answer, infer _Self, infer _S> ? Answer : unknown;

export type AnswerTo<O> =
  O extends Typed<string, infer _I, infer Answer, infer _Self, infer Stream>
    ? Stream extends true
      ? AsyncIterable<Answer>
      : Answer
    : unknown;

/**
 * Checks that an operation's parts fit together, then forgets their types: the table holds operations of any kind. That
 * is sound because `run` is only given what `parseRequest` made of the same fields, and the rest only what `run` answered.
 */
export function defineOperation<
  const Name extends string,
  F extends Fields,
  A,
  Self extends keyof F & string = never,
  Stream extends boolean = false,
>(
  definition: OperationDefinition<F, A> & {
    readonly name: Name;
    readonly input: { readonly self?: Self };
    readonly stream?: Stream;
    readonly storeless?: never;
  },
): Operation & Typed<Name, InputOf<F>, A, Self, Stream> {
  return definition as unknown as Operation & Typed<Name, InputOf<F>, A, Self, Stream>;
}

const PARSED: unique symbol = Symbol("parsed");

/** A request to a bus. Only `parseRequest` makes one, so its input obeys the rules of the operation's fields. */
export interface Request<O extends Operation = Operation> {
  readonly operation: O;
  readonly input: InputFor<O>;
  readonly [PARSED]: true;
}

/** Throws a sentence about the first fault of an input. */
export function parseRequest<O extends Operation>(operation: O, raw: unknown): Request<O> {
  const { fields, check } = operation.input;
  const input = parseInput(fields, raw);
  check?.(input);
  return { operation, input: input as InputFor<O>, [PARSED]: true };
}

/** The request with its signature, where its operation is signed. */
export async function signRequest<O extends Operation>(request: Request<O>, signer: Signer): Promise<Request<O>> {
  const { signature } = request.operation;
  if (signature === undefined) return request;
  return { ...request, input: (await signature.add(request.input, signer)) as InputFor<O> };
}

/** Whether a request asks to wait for something. */
export function isWaiting({ operation, input }: Request): boolean {
  return operation.waits?.isWaiting(input) ?? false;
}

/** Whether it matters if an answer reaches the asker. */
export function hasFollowUp({ after }: Operation): boolean {
  return after?.confirm !== undefined || after?.delivered !== undefined || after?.lost !== undefined;
}

/** An answer as plain text. */
export function formatAnswer({ operation, input }: Request, answer: unknown): string {
  const { output } = operation;
  return output?.text === undefined ? JSON.stringify(answer) : output.text(answer, input);
}

/** The reason why an answer is a failure, if it is one. */
export function failureOf({ operation, input }: Request, answer: unknown): string | undefined {
  return operation.output?.failure?.(answer, input);
}

/** Defines an operation that needs no store. */
export function defineStoreless<const Name extends string, F extends Fields, A, Self extends keyof F & string = never>(
  definition: OperationDefinition<F, A, StorelessBus> & {
    readonly name: Name;
    readonly input: { readonly self?: Self };
    readonly stream?: never;
    readonly storeless: true;
  },
): Operation & Typed<Name, InputOf<F>, A, Self, false> {
  return definition as unknown as Operation & Typed<Name, InputOf<F>, A, Self, false>;
}

export function isStream(answer: unknown): answer is AsyncIterable<unknown> {
  return typeof answer === "object" && answer !== null && Symbol.asyncIterator in answer;
}

/** JSON as the Python original prints lists. */
export function indented(value: unknown): string {
  return JSON.stringify(value, null, 2);
}

/** Tool: the operation as a model calls it. Each word is paid for in every conversation. */
export interface Tool<F extends Fields, A> {
  readonly name: string;
  readonly description: string;
  /** The fields that are arguments. */
  readonly arguments: { readonly [K in keyof F & string]?: Argument };
  /** The field that names the asking session; the caller's own session fills it. */
  readonly session?: keyof F & string;
  /** The operation to run while a required argument is missing. */
  readonly fallback?: Operation;
  /** Repeating the call changes nothing more. */
  readonly isRepeatable?: true;
  /** The session that an answer has opened; from then on it is the caller's own. */
  openedSession?(answer: A): string;
}

export interface Argument {
  /** The name for a model, where it differs from the field's. */
  readonly name?: string;
  /** The description for a model, where it differs from the field's. */
  readonly description?: string;
  /** The type in its JSON Schema, where the field takes any JSON but one shape is meant. */
  readonly type?: "string" | "object";
  readonly default?: unknown;
}

/** A text that somebody on the bus wrote. */
export interface QuotedText {
  readonly from: string;
  readonly text: string;
  /** The proof of who wrote it; undefined where there is none. */
  readonly proof?: "verified" | "attested" | undefined;
}

/** Marks a text as data from its author, in a way that the text can't undo. */
export type Quote = (text: QuotedText) => string;

/** The method name of a verb: `channel send` is `channelSend`. */
export function methodName(verb: string): string {
  return verb.replace(/[ -](.)/g, (_, letter: string) => letter.toUpperCase());
}

export type MethodName<Verb extends string> = Verb extends `${infer First} ${infer Rest}`
  ? `${MethodName<First>}${Capitalize<MethodName<Rest>>}`
  : Verb extends `${infer First}-${infer Rest}`
    ? `${First}${Capitalize<MethodName<Rest>>}`
    : Verb;
