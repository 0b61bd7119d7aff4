import assert from "node:assert/strict";
import { type Caller, THIS_PROCESS } from "../../src/core/access.ts";
import { register, seed } from "../../src/core/agents.ts";
import type { Bus, Policy } from "../../src/core/bus.ts";
import { type CommandRequest, issueCommands, waitForCommand } from "../../src/core/commands.ts";
import { isIpcError } from "../../src/core/errors.ts";
import { type ReadRequest, read, send } from "../../src/core/messages.ts";
import { openSession } from "../../src/core/sessions.ts";
import type { Command } from "../../src/core/store.ts";
import { temporaryBus } from "../support/bus.ts";
import { createIdentity, didOf, type Identity, signRegistration, stampFor } from "../support/identity.ts";
import { noPolicy, openLocalBus } from "../support/store.ts";

/** A bus of its own, on a file or on the server of TEST_STORE, whose clock stands still until the test moves it. */
export interface TestBus extends AsyncDisposable {
  readonly bus: Bus;
  pass(seconds: number): void;
}

export async function openTestBus(policy: Partial<Policy> = {}): Promise<TestBus> {
  const place = temporaryBus();
  const { IPC_STORE, IPC_DB_PATH = "" } = place.environment;
  let now = Math.floor(Date.now() / 1_000);
  const bus = await openLocalBus({ path: IPC_STORE ?? IPC_DB_PATH, durability: "normal" }, () => now, {
    ...noPolicy,
    ...policy,
  });
  return {
    bus,
    pass(seconds) {
      now += seconds;
    },
    async [Symbol.asyncDispose]() {
      await bus[Symbol.asyncDispose]();
      place[Symbol.dispose]();
    },
  };
}

/** A bus in secure mode: the operator `ops`, the agents `herald` and `scout`, and the DID that signatures are made for. */
export interface SecureTestBus extends TestBus {
  readonly ops: Identity;
  readonly herald: Identity;
  readonly scout: Identity;
  readonly did: string;
}

export async function openSecureTestBus(policy: Partial<Policy> = {}): Promise<SecureTestBus> {
  const open = await openTestBus(policy);
  const [ops, herald, scout] = [createIdentity("ops"), createIdentity("herald"), createIdentity("scout")];
  await seed(open.bus, "ops", ops.publicPem);
  for (const agent of [herald, scout]) await registerAgent(open.bus, ops, agent);
  return { ...open, ops, herald, scout, did: didOf(ops) };
}

export async function registerAgent(bus: Bus, ops: Identity, agent: Identity, more: { v2_only?: boolean } = {}) {
  const signed = signRegistration(ops, agent, stampFor(didOf(ops)), more);
  const usual = { identity: "", operator_key: undefined, rotate: false, v2_only: false };
  return register(bus, { ...usual, ...signed }, THIS_PROCESS);
}

/** A caller on this machine, with a token of this agent or without one. */
export function callerWith(agent?: string, operator = false): Caller {
  const identity = agent === undefined ? undefined : { agent, operator, expires: Number.POSITIVE_INFINITY };
  return { from: "local", admitted: false, hasKey: false, identity };
}

/** The signal of who never gives up. */
export const never = new AbortController().signal;

/** Sends a message without a signature; answers with its id. */
export async function say(bus: Bus, channel: string, sender: string, content: string): Promise<number> {
  return (await send(bus, { channel, sender, content, signature: undefined }, THIS_PROCESS)).id;
}

/** The unread messages of an agent in a channel, without waiting. */
export async function contentsFor(
  bus: Bus,
  channel: string,
  agent: string,
  more: Partial<ReadRequest> = {},
): Promise<readonly string[]> {
  const usual = { limit: undefined, others: false, peek: false, wait: false, seconds: undefined, burst: 0 };
  return (await read(bus, { channel, agent, ...usual, ...more }, never)).map(({ content }) => content);
}

export async function connect(bus: Bus, role: string): Promise<string> {
  return (await openSession(bus, { role, capabilities: [] }, THIS_PROCESS)).id;
}

/** Issues commands as `human`; answers with their ids. */
export async function issue(
  bus: Bus,
  target: string,
  more: Partial<CommandRequest> = {},
  caller: Caller = THIS_PROCESS,
): Promise<readonly string[]> {
  const usual = { from: "human", action: "work", params: {}, leaseSeconds: 60, any: false, expiresIn: undefined };
  return (await issueCommands(bus, { ...usual, target, ...more }, caller)).map(({ id }) => id);
}

/** The command that a session is handed at once, if there is one. */
export function take(bus: Bus, sessionId: string, caller: Caller = THIS_PROCESS): Promise<Command | undefined> {
  return waitForCommand(bus, { sessionId, seconds: 0 }, caller, never);
}

/** The sentence with which something is refused, behind its code. */
export async function refusal(asked: Promise<unknown>): Promise<string> {
  try {
    await asked;
  } catch (error) {
    if (isIpcError(error)) return `${error.code}: ${error.message}`;
    throw error;
  }
  return assert.fail("it was not refused");
}
