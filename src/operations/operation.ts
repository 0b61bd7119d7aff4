import type { KeyObject } from "node:crypto";
import type { Access, AccessRequest, Caller } from "../core/access.ts";
import type { Bus } from "../core/bus.ts";
import { messageBytes, type SignedMessage, type Stamp, sign } from "../core/signature.ts";
import { type Fields, type InputOf, parseInput } from "./fields.ts";

export interface Context {
  readonly caller: Caller;
  readonly signal: AbortSignal;
}

/** Signs for one bus with the asker's key. */
export interface Signer {
  readonly key: KeyObject;
  /** The bus's DID; empty in open mode. */
  audience(): Promise<string>;
  stamp(): Promise<Stamp>;
  token(agent: string, seconds: number): Promise<string>;
  ask<O extends Operation>(request: Request<O>): Promise<AnswerTo<O>>;
}

export interface AnswerFile {
  readonly path: string;
  readonly text: string;
  readonly secret: boolean;
}

/** A row of the table of operations. The command line, HTTP, MCP, the help and the documents are all made from it. */
export interface OperationDefinition<F extends Fields, A, B extends StorelessBus = Bus> {
  readonly name: string;
  readonly summary: string;
  readonly details?: string;
  readonly examples: readonly string[];
  readonly access: AccessPart<F>;
  /** Method and path. Without them the operation isn't offered over a network. */
  readonly http?: `${"GET" | "POST" | "DELETE"} /${string}`;
  /** `run` answers with an async iterable. */
  readonly stream?: true;
  /** A repetition changes nothing more. */
  readonly idempotent?: true;
  /** No store is opened for the operation. `defineStoreless` defines it. */
  readonly storeless?: true;
  readonly input: InputPart<F>;
  readonly signature?: SignaturePart<F>;
  /** Returns a promise of one answer, or an async iterable for a stream. */
  run(bus: B, input: InputOf<F>, context: Context): Promise<A> | AsyncIterable<A>;
  readonly waits?: WaitPart<F, NoInfer<A>>;
  readonly after?: AfterPart<F, NoInfer<A>, B>;
  readonly output?: OutputPart<F, NoInfer<A>>;
  readonly tool?: Tool<F, NoInfer<A>>;
}

/** The fields of a request, and how surfaces fill them. */
export interface InputPart<F extends Fields> {
  readonly fields: F;
  /** A command line takes these without their names, in this order. */
  readonly positionals?: readonly (keyof F & string)[];
  /** The field that names the asker; a command line fills it from IPC_AGENT. */
  readonly self?: keyof F & string;
  /** The field that is the whole body of an HTTP request; the others are in its URL. */
  readonly body?: keyof F & string;
  /** Throws where valid fields don't fit together. */
  check?(input: InputOf<F>): void;
}

/** The caller's proof, checked before the operation runs. */
export interface AccessPart<F extends Fields> {
  readonly level: Access;
  /** The agent and channel concerned, where they aren't the fields `agent` and `channel`. */
  subject?(input: InputOf<F>): AccessRequest;
  /** Whether the answer depends on the caller, at a level that admits anyone. Clients then identify themselves. */
  dependsOnCaller?(input: InputOf<F>): boolean;
}

export interface SignaturePart<F extends Fields> {
  /** The field that names the key's owner, where that isn't the asker. */
  readonly by?: keyof F & string;
  /** Without a signature the operation fails, so a client asks for the key at once. */
  readonly required?: true;
  /** Returns the signed input. Runs on the asker's side. */
  add(input: InputOf<F>, signer: Signer): Promise<InputOf<F>>;
}

/** For operations that may wait. */
export interface WaitPart<F extends Fields, A> {
  isWaiting(input: InputOf<F>): boolean;
  /** Whether the time was up. A null answer always means that. */
  isTimeout?(answer: A, input: InputOf<F>): boolean;
}

/** Follow-ups, once it is known whether the answer reached the asker. */
export interface AfterPart<F extends Fields, A, B> {
  /**
   * The request that confirms the answer's arrival. A server, or a client on its own bus, performs it. A server's client
   * sends it, so its operation has `http`.
   */
  confirm?(answer: A, input: InputOf<F>): Request | undefined;
  /** Runs on the bus once the answer has arrived; for operations without `http`. */
  delivered?(bus: B, answer: A, input: InputOf<F>): Promise<void>;
  /** Runs on the bus when the answer can't reach the asker, and returns what was handed out. */
  lost?(bus: B, answer: A, input: InputOf<F>): Promise<void>;
  /** Requests that the asker, not a server, makes next, all at once. */
  next?(answer: A, input: InputOf<F>): readonly NextRequest[];
  /** Requests with the same turn are answered one by one, each once the answer before it is settled. */
  turn?(input: InputOf<F>): string;
}

export interface NextRequest {
  readonly request: Request;
  /** Its answer replaces the first one. Otherwise only its failure is shown. */
  readonly isShown: boolean;
}

/** An answer, or each answer of a stream, as people and models read it. */
export interface OutputPart<F extends Fields, A> {
  /** The text on standard output; by default one line of JSON. */
  text?(answer: A, input: InputOf<F>): string;
  /** The text for a model, which quotes others' words; by default `text`. */
  model?(answer: A, input: InputOf<F>, quote: Quote): string;
  /** A remark beside the answer, on standard error. */
  note?(answer: A, input: InputOf<F>): string | undefined;
  /** Files that a command line writes. */
  files?(answer: A, input: InputOf<F>): readonly AnswerFile[];
  /** Whether the text is a private key. */
  isSecret?(input: InputOf<F>): boolean;
  /** Why the answer is a failure, if it is one. A command line prints it and exits with 1. */
  failure?(answer: A, input: InputOf<F>): string | undefined;
  progress?(answer: A): { readonly done: number; readonly of: number } | undefined;
  /** Whether a stream ends with this answer. Without it a stream is endless. */
  isLast?(answer: A): boolean;
}

export type Operation = OperationDefinition<Fields, unknown>;

export type StorelessBus = Pick<Bus, "link">;

export type StorelessOperation = OperationDefinition<Fields, unknown, StorelessBus> & { readonly storeless: true };

export function isStoreless(operation: Operation): operation is StorelessOperation {
  return operation.storeless === true;
}

type Values = Readonly<Record<string, unknown>>;

declare const TYPES: unique symbol;

/** An operation's types, for callers that name the operation. */
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

export type ItemOf<O> = O extends Typed<string, infer _I, infer Answer, infer _Self, infer _S> ? Answer : unknown;

export type AnswerTo<O> =
  O extends Typed<string, infer _I, infer Answer, infer _Self, infer Stream>
    ? Stream extends true
      ? AsyncIterable<Answer>
      : Answer
    : unknown;

/**
 * Checks that an operation's parts fit together, then erases their types. That is sound because `run` only gets what
 * `parseRequest` made of the same fields, and the other parts only what `run` answered.
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

/** Only `parseRequest` makes one, so its input is valid. */
export interface Request<O extends Operation = Operation> {
  readonly operation: O;
  readonly input: InputFor<O>;
  readonly [PARSED]: true;
}

/** Throws a sentence about the input's first fault. */
export function parseRequest<O extends Operation>(operation: O, raw: unknown): Request<O> {
  const { fields, check } = operation.input;
  const input = parseInput(fields, raw);
  check?.(input);
  return { operation, input: input as InputFor<O>, [PARSED]: true };
}

export async function signRequest<O extends Operation>(request: Request<O>, signer: Signer): Promise<Request<O>> {
  const { signature } = request.operation;
  if (signature === undefined) return request;
  return { ...request, input: (await signature.add(request.input, signer)) as InputFor<O> };
}

export function isWaiting({ operation, input }: Request): boolean {
  return operation.waits?.isWaiting(input) ?? false;
}

/** Whether it matters if an answer reaches the asker. */
export function hasFollowUp({ after }: Operation): boolean {
  return after?.confirm !== undefined || after?.delivered !== undefined || after?.lost !== undefined;
}

export function formatAnswer({ operation, input }: Request, answer: unknown): string {
  const { output } = operation;
  return output?.text === undefined ? JSON.stringify(answer) : output.text(answer, input);
}

export function failureOf({ operation, input }: Request, answer: unknown): string | undefined {
  return operation.output?.failure?.(answer, input);
}

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

/** Returns the fields of a v2 signature over a message. */
export async function signMessage(message: SignedMessage, signer: Signer) {
  const stamp = await signer.stamp();
  return { v: 2, ...stamp, signature: sign(messageBytes(message, stamp), signer.key) };
}

export function isStream(answer: unknown): answer is AsyncIterable<unknown> {
  return typeof answer === "object" && answer !== null && Symbol.asyncIterator in answer;
}

/** JSON as the Python original prints lists. */
export function indented(value: unknown): string {
  return JSON.stringify(value, null, 2);
}

/** The operation as a model calls it. Every word costs tokens in every conversation. */
export interface Tool<F extends Fields, A> {
  readonly name: string;
  readonly description: string;
  readonly arguments: { readonly [K in keyof F & string]?: Argument };
  /** The field that the caller's own session fills. */
  readonly session?: keyof F & string;
  /** The operation to run while a required argument is missing. */
  readonly fallback?: Operation;
  /** A repetition changes nothing more. */
  readonly isRepeatable?: true;
  /** The session that an answer has opened, which becomes the caller's own. */
  openedSession?(answer: A): string;
}

export interface Argument {
  /** The name for a model, where it differs from the field's. */
  readonly name?: string;
  /** The description for a model, where it differs from the field's. */
  readonly description?: string;
  /** The type in its JSON Schema, where the field takes any JSON but one shape is expected. */
  readonly type?: "string" | "object";
  readonly default?: unknown;
}

export interface QuotedText {
  readonly from: string;
  readonly text: string;
  /** The proof of its author, if there is one. */
  readonly proof?: "verified" | "attested" | undefined;
}

/** Marks a text as data from its author, so that the text can't undo the marks. */
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
