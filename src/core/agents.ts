import type { Bus } from "./bus.ts";
import { conflict, invalid, unauthorized } from "./errors.ts";
import { createKeyPair, type KeyPair, publicPem, readPrivateKey, readPublicKey } from "./keys.ts";
import { isSignature, registrationBytes, sign } from "./signature.ts";
import type { Agent } from "./store.ts";

export interface Registration {
  readonly name: string;
  readonly public_key: string;
  readonly identity: string;
  readonly operator: string;
  readonly operator_signature: string | undefined;
  /** The operator's private key itself, as the original's clients send it. */
  readonly operator_key: string | undefined;
}

/** Secure mode begins with the first operator and never ends by itself. */
export async function isSecure(bus: Bus): Promise<boolean> {
  return (await bus.store.agents.firstOperator()) !== undefined;
}

/** A key pair for a new operator. Nothing is stored until `seed`, so that a key which couldn't be written seeds nobody. */
export async function prepareSeed(bus: Bus, name: string): Promise<KeyPair> {
  if ((await bus.store.agents.find(name)) !== undefined) throw taken(name);
  return createKeyPair();
}

export async function seed(bus: Bus, name: string, publicKey: string): Promise<void> {
  const operator: Agent = {
    name,
    identity: "",
    publicKey: publicPem(readPublicKey(Buffer.from(publicKey))),
    role: "operator",
    registeredBy: null,
    createdAt: bus.now(),
  };
  if (!(await bus.store.agents.add(operator))) throw taken(name);
}

/** Registers an agent under its operator's signature. An existing name can only be registered again by the same operator. */
export async function register(bus: Bus, registration: Registration): Promise<string> {
  const { name, operator: operatorName } = registration;
  const publicKey = publicPem(readPublicKey(Buffer.from(registration.public_key)));
  const operator = await bus.store.agents.find(operatorName);
  if (operator === undefined) throw refused(`Operator '${operatorName}' not found`);
  if (operator.role !== "operator") throw refused(`'${operatorName}' is not an operator (role: ${operator.role})`);

  const bytes = registrationBytes(registration);
  if (!isSignature(operatorSignature(registration, bytes), bytes, operator.publicKey)) {
    throw refused(`Operator signature verification failed: this is not the key of '${operatorName}'`);
  }

  const agent: Agent = {
    name,
    identity: registration.identity,
    publicKey,
    role: "agent",
    registeredBy: operatorName,
    createdAt: bus.now(),
  };
  if (!(await bus.store.agents.add(agent)) && !(await bus.store.agents.replace(agent))) {
    throw conflict(`Agent '${name}' already exists, and was not registered by '${operatorName}'`);
  }
  return `Agent '${name}' registered by operator '${operatorName}'`;
}

function operatorSignature(registration: Registration, bytes: Buffer): string {
  if (registration.operator_signature !== undefined) return registration.operator_signature;
  if (registration.operator_key !== undefined) {
    return sign(bytes, readPrivateKey(Buffer.from(registration.operator_key)));
  }
  throw invalid("name, public_key, operator, and operator_signature (or operator_key) required");
}

function taken(name: string): Error {
  return conflict(`Agent '${name}' already exists`);
}

function refused(message: string): Error {
  return unauthorized(message, "unauthorized_registration");
}
