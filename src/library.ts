import { resolve } from "node:path";
import { type Asker, askEach, askOnce, type Client } from "./client/client.ts";
import { createPendingRequests } from "./client/pending.ts";
import { type ConnectOptions as ClientTarget, connectClient, loadKey } from "./client.ts";
import { invalid } from "./core/errors.ts";
import type { Message } from "./core/messages.ts";
import { type Environment, readEnvironment, withDatabase, withStore } from "./environment.ts";
import type { commandResult } from "./operations/commands.ts";
import { operations, type TypedOperation } from "./operations/index.ts";
import { waitMail } from "./operations/mailboxes.ts";
import { type MethodName, methodName, type Typed } from "./operations/operation.ts";

export { IpcError, isIpcError } from "./core/errors.ts";
export { AgentMessenger } from "./messenger.ts";
export type { Letter } from "./surfaces/agent-msg/folder.ts";
export type { Message };

export interface ConnectOptions {
  /** The asker, where a request doesn't name one (IPC_AGENT). */
  readonly agent?: string;
  /** The private key to sign with: its file's path (IPC_KEY), or the key itself, in PEM or as the file's bytes. */
  readonly key?: string | Uint8Array;
  /** The server's API key (IPC_API_KEY). */
  readonly apiKey?: string;
  /** A token to show to a server, instead of one made with the key (IPC_TOKEN). */
  readonly token?: string;
}

export interface CallOptions {
  /** Ends the call: a promise rejects with the signal's reason, a stream just ends. */
  readonly signal?: AbortSignal;
}

/** Makes an editor show the resulting fields, one a line, instead of the type expression. */
type Plain<T> = { [Key in keyof T]: T[Key] };

/** The asker may be left to `agent`. */
type MethodInput<Input, Self> = Plain<Omit<Input, Self & keyof Input> & Partial<Pick<Input, Self & keyof Input>>>;

/** `ask` answers with the command's result. */
type AnswerOf<O> =
  O extends Typed<"ask", infer _I, infer _A, infer _Self, infer _Stream>
    ? AnswerOf<typeof commandResult>
    : O extends Typed<string, infer _I, infer Answer, infer _Self, infer _Stream>
      ? Answer
      : never;

type Call<Input, Result> =
  Record<never, never> extends Input
    ? (input?: Input, options?: CallOptions) => Result
    : (input: Input, options?: CallOptions) => Result;

type Method<O> =
  O extends Typed<string, infer Input, infer _A, infer Self, infer Stream>
    ? Call<
        MethodInput<Input, Self>,
        Stream extends true ? AsyncGenerator<AnswerOf<O>, void, void> : Promise<AnswerOf<O>>
      >
    : never;

/** The command line's verbs as methods: `channel send` is `channelSend`. Inputs and answers are those of HTTP. */
export type Methods = { readonly [O in TypedOperation as MethodName<O["name"]>]: Method<O> };

export interface ConnectedBus extends Methods, AsyncDisposable {
  /**
   * Yields the mail in a mailbox as it arrives. A message is consumed when the next one is asked for. If the loop ends
   * before that, the message is offered again within 10 seconds.
   */
  mail(mailbox?: string, options?: CallOptions): AsyncGenerator<Message, void, void>;
  /** Ends pending calls, then closes the bus. */
  close(): Promise<void>;
}

/**
 * Connects to a bus: the server or the NATS server at `target`, if that is an address, else the database at that path.
 * The default is the command line's: IPC_URL, IPC_STORE or IPC_DB_PATH.
 */
export async function connect(target?: string, options: ConnectOptions = {}): Promise<ConnectedBus> {
  const { url, environment } = placeOf(readEnvironment(process.env), target);
  const agent = options.agent ?? environment.agent;
  const client = connectClient({
    environment: { ...environment, apiKey: options.apiKey ?? environment.apiKey },
    url,
    agent,
    key: loadKey(options.key ?? environment.keyFile),
    token: options.token ?? environment.token,
    warn: (sentence) => process.emitWarning(sentence.replace(/^Warning: /, "")),
  });
  await client.open();
  return connected(client, agent);
}

function placeOf(environment: Environment, target: string | undefined): Pick<ClientTarget, "environment" | "url"> {
  if (target === undefined) return { environment, url: environment.url };
  if (/^(nats|tls):\/\//i.test(target)) return { environment: withStore(environment, target), url: undefined };
  if (/^[a-z]+:\/\//i.test(target)) return { environment, url: target };
  return { environment: withDatabase(environment, resolve(target)), url: undefined };
}

function connected(client: Client, agent: string | undefined): ConnectedBus {
  const closing = new AbortController();
  const pending = createPendingRequests();
  const until = (signal: AbortSignal | undefined) =>
    signal === undefined ? closing.signal : AbortSignal.any([closing.signal, signal]);
  const bus: Asker = { prepare: client.prepare, ...pending.track(client) };

  const methods = Object.fromEntries(
    operations.map((operation) => [
      methodName(operation.name),
      (input: object = {}, { signal }: CallOptions = {}) =>
        (operation.stream ? askEach : askOnce)(bus, operation, input, until(signal)),
    ]),
  ) as unknown as Methods;

  const close = async () => {
    closing.abort(invalid("this connection to the bus is closed"));
    await pending.done();
    await client[Symbol.asyncDispose]();
  };
  async function* mail(mailbox = agent, { signal }: CallOptions = {}) {
    for await (const { message } of askEach(bus, waitMail, { mailbox }, until(signal))) yield message;
  }
  return { ...methods, mail, close, [Symbol.asyncDispose]: close };
}
