import type { KeyObject } from "node:crypto";
import { strictBase64 } from "./base64.ts";
import { cryptography, registeredKey } from "./keys.ts";

/** The bytes that the sender of a message signs. Unambiguous, since names hold no control characters. */
export function messageBytes(message: { channel: string; sender: string; content: string }): Buffer {
  return Buffer.from(`${message.channel}\n${message.sender}\n${message.content}`);
}

/** The bytes that an operator signs to register an agent, as the original has them. */
export function registrationBytes(registration: { name: string; identity: string; public_key: string }): Buffer {
  return Buffer.from(`register\n${registration.name}\n${registration.identity}\n${registration.public_key}`);
}

export function sign(bytes: Uint8Array, key: KeyObject): string {
  return cryptography().sign(null, bytes, key).toString("base64");
}

/** Whether `signature` was made over `bytes` with the private half of a registered key. */
export function isSignature(signature: string, bytes: Uint8Array, publicKeyPem: string): boolean {
  const raw = strictBase64(signature);
  if (raw?.length !== 64) return false;
  const key = registeredKey(publicKeyPem);
  return key !== undefined && cryptography().verify(null, bytes, key, raw);
}
