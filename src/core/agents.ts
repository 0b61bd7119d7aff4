import type { Caller } from "./access.ts";
import type { Bus } from "./bus.ts";
import { conflict, invalid, notFound, unauthorized } from "./errors.ts";
import {
  createKeyPair,
  type KeyPair,
  publicKeyOf,
  publicPem,
  rawKeyBytes,
  readPrivateKey,
  readPublicKey,
  verifySignature,
} from "./keys.ts";
import {
  checkStamp,
  keyChangeBytes,
  readStamp,
  registrationBytes,
  requestKeyOf,
  type Stamp,
  type StampFields,
} from "./signature.ts";
import type { Agent, Outcome, RequestKey } from "./store.ts";

export interface Registration extends StampFields {
  readonly name: string;
  readonly public_key: string;
  readonly identity: string;
  readonly operator: string;
  /** Over `registrationBytes`, or the `keyChangeBytes` of a rotation. */
  readonly operator_signature: string | undefined;
  /** The operator's private key. */
  readonly operator_key: string | undefined;
  readonly rotate: boolean;
  readonly v2_only: boolean;
}

interface Revocation extends Pick<Registration, "name" | "public_key" | "operator" | keyof StampFields> {
  readonly operator_signature: string;
}

interface RegistrationResult {
  readonly message: string;
  /** The same request was performed before. */
  readonly repeated: boolean;
}

export function getAgents(bus: Bus): Promise<readonly Agent[]> {
  return bus.store.agents.list();
}

/** Stores nothing: `seed` does, once the private key has been written somewhere. */
export async function createOperatorKeys(bus: Bus, name: string): Promise<KeyPair> {
  if ((await bus.store.agents.find(name)) !== undefined) throw nameTakenError(name);
  return createKeyPair();
}

export async function seed(bus: Bus, name: string, publicKey: string): Promise<void> {
  const operator: Agent = {
    name,
    identity: "",
    publicKey: publicPem(readPublicKey(publicKey)),
    role: "operator",
    registeredBy: null,
    createdAt: bus.now(),
    v2Only: false,
  };
  if ((await bus.store.agents.add(operator, "new")) === "taken") throw nameTakenError(name);
  bus.secured();
}

export async function register(bus: Bus, registration: Registration, caller: Caller): Promise<RegistrationResult> {
  const { name, identity, operator: operatorName, rotate, v2_only } = registration;
  const key = readPublicKey(registration.public_key);
  const operator = await getOperator(bus, operatorName);
  const signed = { name, identity, rawKey: rawKeyBytes(key), operator: operatorName, v2Only: v2_only };
  const once = await (registration.operator_signature === undefined
    ? checkOperatorKey(operator, registration.operator_key, caller)
    : checkOperatorSignature(bus, operator, registration.operator_signature, registration, (stamp) =>
        rotate ? keyChangeBytes("rotate", signed, stamp) : registrationBytes(signed, stamp),
      ));

  const agent: Agent = {
    name,
    identity,
    publicKey: publicPem(key),
    role: "agent",
    registeredBy: operatorName,
    createdAt: bus.now(),
    v2Only: v2_only,
  };
  const outcome = await bus.store.agents.add(agent, rotate ? "rotate" : "own", once);
  if (outcome === "taken") {
    if (rotate) throw notFound(`There is no agent '${name}' whose key could be rotated`);
    throw conflict(`Agent '${name}' already exists, and was not registered by '${operatorName}'`);
  }
  const act = rotate ? "given a new key" : "registered";
  return toResult(outcome, `Agent '${name}' ${act} by operator '${operatorName}'`);
}

/** The agent's messages stay. It can send no more until it is registered again. */
export async function revoke(bus: Bus, revocation: Revocation): Promise<RegistrationResult> {
  const { name, operator: operatorName, operator_signature } = revocation;
  const key = readPublicKey(revocation.public_key);
  const operator = await getOperator(bus, operatorName);
  const once = await checkOperatorSignature(bus, operator, operator_signature, revocation, (stamp) =>
    keyChangeBytes("revoke", { name, rawKey: rawKeyBytes(key), operator: operatorName }, stamp),
  );
  const outcome = await bus.store.agents.revoke(name, publicPem(key), once);
  if (outcome === "taken") throw notFound(`There is no agent '${name}' with that key`);
  return toResult(outcome, `Agent '${name}' revoked by operator '${operatorName}'`);
}

async function getOperator(bus: Bus, name: string): Promise<Agent> {
  const operator = await bus.store.agents.find(name);
  if (operator === undefined) throw registrationError(`Operator '${name}' not found`);
  if (operator.role !== "operator") throw registrationError(`'${name}' is not an operator (role: ${operator.role})`);
  return operator;
}

async function checkOperatorSignature(
  bus: Bus,
  operator: Agent,
  signature: string,
  fields: StampFields,
  bytesFor: (stamp: Stamp) => Buffer,
): Promise<RequestKey> {
  const stamp = readStamp(fields);
  if (stamp === undefined) throw invalid("operator_signature needs v: 2, aud, nonce and ts");
  const bytes = bytesFor(stamp);
  if (!verifySignature(signature, bytes, operator.publicKey)) throw wrongOperatorError(operator.name);
  await checkStamp(bus, stamp);
  return requestKeyOf(bus, operator.name, stamp, bytes);
}

/** Clients of the Python original send the key itself, which must not travel beyond this machine. */
async function checkOperatorKey(operator: Agent, key: string | undefined, { from }: Caller): Promise<undefined> {
  if (key === undefined) throw invalid("name, public_key, operator, and operator_signature required");
  if (from === "beyond") {
    throw registrationError("operator_key is only taken from this machine: send operator_signature instead of the key");
  }
  const shown = publicPem(publicKeyOf(readPrivateKey(Buffer.from(key))));
  if (shown !== publicPem(readPublicKey(operator.publicKey))) throw wrongOperatorError(operator.name);
}

function toResult(outcome: Outcome, message: string): RegistrationResult {
  if (outcome === "clash") throw conflict("this nonce was used for another request", "replay");
  return { message, repeated: outcome === "repeated" };
}

function nameTakenError(name: string): Error {
  return conflict(`Agent '${name}' already exists`);
}

function wrongOperatorError(name: string): Error {
  return registrationError(`Operator signature verification failed: this is not the key of '${name}'`);
}

function registrationError(message: string): Error {
  return unauthorized(message, "unauthorized_registration");
}
