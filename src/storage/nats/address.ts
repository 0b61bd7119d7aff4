import { readFileSync } from "node:fs";
import { type Authenticator, credsAuthenticator, nkeyAuthenticator, type TlsOptions } from "@nats-io/transport-node";
import { invalid } from "../../core/errors.ts";
import { nodeCrypto, publicKeyOf, rawKeyBytes, readPrivateKey } from "../../core/keys.ts";

/** What `nats://…` says: which servers, which of the buses that they keep, and how to log in. */
export interface Address {
  /** HOST:PORT each; any of them will do. */
  readonly servers: readonly string[];
  /** A cluster keeps any number of buses, each under a name of its own. */
  readonly bus: string;
  readonly tls: boolean;
  readonly user: string | undefined;
  readonly password: string | undefined;
  /** Files. */
  readonly creds: string | undefined;
  readonly nkey: string | undefined;
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  /** The JetStream domain, where the streams lie behind a leaf node. */
  readonly domain: string | undefined;
  /** Milliseconds for which a request is tried again while no server answers. */
  readonly patience: number;
  /** That was asked for: then the first connection is tried again, too. */
  readonly patient: boolean;
  /** As it may be shown: without a password. */
  readonly shown: string;
}

const DEFAULT_BUS = "el-ipc";
const SETTINGS = ["creds", "nkey", "ca", "cert", "key", "domain", "wait"] as const;
const SHAPE = /^(nats|tls):\/\/(?:([^@/?]*)@)?([^/?@]+)(?:\/([^?]*))?(?:\?(.*))?$/;

export function readAddress(text: string): Address {
  const [, scheme, login, hosts = "", path = "", query = ""] = SHAPE.exec(text) ?? [];
  if (scheme === undefined) {
    throw invalid(
      "a NATS address is nats://[USER:PASSWORD@]HOST[:PORT][,HOST…][/BUS][?creds=FILE], or tls://… the same",
    );
  }
  const bus = path === "" ? DEFAULT_BUS : path;
  // A part of the names of streams and of subjects, which know few characters.
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(bus)) {
    throw invalid(`the bus in a NATS address is named by 1 to 64 letters, digits, - and _, not ${JSON.stringify(bus)}`);
  }
  const settings = new URLSearchParams(query);
  for (const name of settings.keys()) {
    if (!SETTINGS.some((known) => known === name)) {
      throw invalid(`a NATS address has no ${JSON.stringify(name)}; what it may have is ${SETTINGS.join(", ")}`);
    }
  }
  const setting = (name: (typeof SETTINGS)[number]) => settings.get(name) || undefined;
  const [user, password] = login === undefined ? [] : login.split(/:(.*)/s).map(decoded);
  const servers = hosts.split(",").map(withPort);
  return {
    servers,
    bus,
    tls: scheme === "tls",
    user,
    password,
    creds: setting("creds"),
    nkey: setting("nkey"),
    ca: setting("ca"),
    cert: setting("cert"),
    key: setting("key"),
    patience: patienceOf(setting("wait")),
    patient: settings.has("wait"),
    domain: domainOf(setting("domain")),
    shown: `${scheme}://${servers.join(",")}/${bus}`,
  };
}

function withPort(host: string): string {
  const [, name, port = "4222"] = /^(\[[0-9A-Fa-f:.]+\]|[^:\s]+)(?::(\d{1,5}))?$/.exec(host) ?? [];
  if (name === undefined || Number(port) > 65_535)
    throw invalid(`${JSON.stringify(host)} is no HOST:PORT of a NATS server`);
  return `${name}:${port}`;
}

const PATIENCE_SECONDS = 10;

function patienceOf(text: string | undefined): number {
  const seconds = text === undefined ? PATIENCE_SECONDS : Number(text);
  if (seconds >= 1 && seconds <= 86_400) return seconds * 1_000;
  throw invalid(`wait in a NATS address is a number of seconds from 1 to 86400, not ${JSON.stringify(text)}`);
}

function domainOf(domain: string | undefined): string | undefined {
  if (domain === undefined || /^[A-Za-z0-9_-]+$/.test(domain)) return domain;
  throw invalid(`${JSON.stringify(domain)} is no JetStream domain`);
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw invalid(
      "the user and the password in a NATS address are percent-encoded where they hold more than letters and digits",
    );
  }
}

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
  const name = nkeyOf(rawKeyBytes(publicKeyOf(key)));
  const authenticator: Authenticator = (nonce) => ({
    nkey: name,
    sig: nonce === undefined ? "" : nodeCrypto().sign(null, Buffer.from(nonce), key).toString("base64url"),
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
