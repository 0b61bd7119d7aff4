import { readFileSync } from "node:fs";
import { type Authenticator, credsAuthenticator, nkeyAuthenticator, type TlsOptions } from "@nats-io/transport-node";
import { invalid } from "../../core/errors.ts";
import { cryptography, publicHalf, rawBytes, readPrivateKey } from "../../core/keys.ts";
import type { Address } from "./address.ts";

export interface Login {
  readonly authenticator?: Authenticator[];
  readonly user?: string;
  readonly pass?: string;
  readonly token?: string;
  readonly tls?: TlsOptions;
  /** By what name the server knows us, where that is a key. */
  readonly nkey: string | undefined;
}

/** How a connection says who it is: a file of credentials, a key, a user and a password, or a token; with TLS or without. */
export function loginOf({ creds, nkey, user, password, tls, ca, cert, key }: Address): Login {
  const files = { ...(ca && { caFile: ca }), ...(cert && { certFile: cert }), ...(key && { keyFile: key }) };
  for (const file of [ca, cert, key]) if (file !== undefined) read(file);
  const secure = tls || ca !== undefined || cert !== undefined ? { tls: files } : {};
  if (creds !== undefined) return { ...secure, authenticator: [credsAuthenticator(read(creds))], nkey: undefined };
  if (nkey !== undefined) {
    const { authenticator, name } = keyLogin(read(nkey));
    return { ...secure, authenticator: [authenticator], nkey: name };
  }
  if (user === undefined) return { ...secure, nkey: undefined };
  return { ...secure, ...(password === undefined ? { token: user } : { user, pass: password }), nkey: undefined };
}

function keyLogin(file: Buffer): { authenticator: Authenticator; name: string | undefined } {
  const seed = file.toString("latin1").trim();
  if (/^SU[A-Z2-7]{56}$/.test(seed)) return { authenticator: nkeyAuthenticator(Buffer.from(seed)), name: undefined };
  const key = readPrivateKey(file);
  const name = nkeyOf(rawBytes(publicHalf(key)));
  const authenticator: Authenticator = (nonce) => ({
    nkey: name,
    sig: nonce === undefined ? "" : cryptography().sign(null, Buffer.from(nonce), key).toString("base64url"),
  });
  return { authenticator, name };
}

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/** What makes the text begin with U, for a user. */
const USER = 20 << 3;

/** A public Ed25519 key as NATS spells it: base32 of a kind, the 32 bytes, and a checksum. */
export function nkeyOf(publicKey: Uint8Array): string {
  const bytes = [USER, ...publicKey];
  const sum = crc16(bytes);
  let text = "";
  let bits = 0;
  let held = 0;
  for (const byte of [...bytes, sum & 0xff, sum >> 8]) {
    held = ((held << 8) | byte) & 0xfff;
    for (bits += 8; bits >= 5; bits -= 5) text += LETTERS[(held >> (bits - 5)) & 31];
  }
  return text;
}

/** CRC-16/XMODEM. */
function crc16(bytes: readonly number[]): number {
  let sum = 0;
  for (const byte of bytes) {
    sum ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) sum = ((sum << 1) ^ (sum & 0x8000 ? 0x1021 : 0)) & 0xffff;
  }
  return sum;
}

function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw invalid(
      `the NATS address names ${file}, which can't be read: ${error instanceof Error ? error.message : error}`,
    );
  }
}
