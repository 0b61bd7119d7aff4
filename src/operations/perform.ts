import { type Access, type AccessRequest, admit, type Caller } from "../core/access.ts";
import type { Bus } from "../core/bus.ts";
import { isIpcError } from "../core/errors.ts";
import { raiseAlarm } from "../core/security.ts";
import {
  type AnswerTo,
  type Context,
  isStoreless,
  type Operation,
  type Request,
  type StorelessBus,
} from "./operation.ts";

/** Admits the caller, then runs the operation. Every request goes through here. */
export async function perform<O extends Operation>(
  bus: Bus,
  request: Request<O>,
  context: Context,
): Promise<AnswerTo<O>> {
  const { operation, input }: Request = request;
  const { level, subject } = operation.access;
  const admission = { name: operation.name, level, subject: subject?.(input) ?? input, input };
  return (await withAdmission(bus, admission, context.caller, () => operation.run(bus, input, context))) as AnswerTo<O>;
}

export interface Admission {
  /** Names the request in alarms. */
  readonly name: string;
  readonly level: Access;
  readonly subject: AccessRequest;
  readonly input: Readonly<Record<string, unknown>>;
}

/** Acts for a caller who may ask for it. A refusal is an alarm for the operators. */
export async function withAdmission<T>(
  bus: Bus,
  { name, level, subject, input }: Admission,
  caller: Caller,
  act: () => T,
): Promise<Awaited<T>> {
  try {
    await admit(bus, level, subject, caller);
    return await act();
  } catch (error) {
    const { channel, sender } = input;
    const attempt = { operation: name, channel, sender, from: caller.from };
    if (isIpcError(error)) await raiseAlarm(bus, error, attempt);
    throw error;
  }
}

/** Performs the follow-ups of an answer, once it is known whether it was delivered. */
export async function settle(
  bus: Bus,
  { operation: { after }, input }: Request,
  answer: unknown,
  isDelivered: boolean,
  context: Context,
): Promise<void> {
  if (!isDelivered) return await after?.lost?.(bus, answer, input);
  const confirmation = after?.confirm?.(answer, input);
  if (confirmation !== undefined) await perform(bus, confirmation, context);
  await after?.delivered?.(bus, answer, input);
}

export type Ask = <O extends Operation>(request: Request<O>, signal: AbortSignal) => Promise<AnswerTo<O>>;

/** A bus as its clients see it, in this process or behind a server. */
export interface Endpoint {
  readonly ask: Ask;
  /** Performs the follow-ups of an answer, or of one item of a stream. */
  settle(request: Request, answer: unknown, isDelivered: boolean, signal: AbortSignal): Promise<void>;
}

/** The bus in this process, asked by one caller. */
export function createLocalEndpoint(bus: Bus, caller: Caller): Endpoint {
  return {
    ask: (request, signal) => perform(bus, request, { caller, signal }),
    settle: (request, answer, isDelivered, signal) => settle(bus, request, answer, isDelivered, { caller, signal }),
  };
}

/** A bus without a store, for operations that need none. They admit anyone, since only this process asks. */
export function createStorelessEndpoint(bus: StorelessBus, caller: Caller): Endpoint {
  return {
    async ask<O extends Operation>(request: Request<O>, signal: AbortSignal): Promise<AnswerTo<O>> {
      const { operation, input }: Request = request;
      if (!isStoreless(operation)) throw new Error(`${operation.name} needs a store`);
      return (await operation.run(bus, input, { caller, signal })) as AnswerTo<O>;
    },
    async settle({ operation, input }, answer, isDelivered) {
      if (!isStoreless(operation)) throw new Error(`${operation.name} needs a store`);
      if (isDelivered) await operation.after?.delivered?.(bus, answer, input);
      else await operation.after?.lost?.(bus, answer, input);
    },
  };
}
