import { readFileSync } from "node:fs";
import { type Authenticator, credsAuthenticator, nkeyAuthenticator } from "@nats-io/transport-node";
import { invalid } from "../../core/errors.ts";
import { nodeCrypto, publicKeyOf, rawKeyBytes, readPrivateKey } from "../../core/keys.ts";

export type Address = ReturnType<typeof readAddress>;

const DEFAULT_BUS = "el-ipc";
const SETTINGS = ["creds", "nkey", "ca", "cert", "key", "domain", "wait"] as const;
const SHAPE = /^(nats|tls):\/\/(?:([^@/?]*)@)?([^/?@]+)(?:\/([^?]*))?(?:\?(.*))?$/;

/** Parses `nats://…`: which servers, which of their buses, and how to log in. */
export function readAddress(text: string) {
  const [, scheme, login, hosts = "", path = "", query = ""] = SHAPE.exec(text) ?? [];
  if (scheme === undefined) {
    throw invalid(
      "a NATS address is nats://[USER:PASSWORD@]HOST[:PORT][,HOST…][/BUS][?creds=FILE], or the same with tls://",
    );
  }
  const bus = path === "" ? DEFAULT_BUS : path;
  // The names of streams and subjects, which include it, allow few characters.
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(bus)) {
    throw invalid(`the bus in a NATS address is named by 1 to 64 letters, digits, - and _, not ${JSON.stringify(bus)}`);
  }
  const settings = new URLSearchParams(query);
  for (const name of settings.keys()) {
    if (!SETTINGS.some((known) => known === name)) {
      throw invalid(`a NATS address has no ${JSON.stringify(name)}; it may have ${SETTINGS.join(", ")}`);
    }
  }
  const setting = (name: (typeof SETTINGS)[number]) => settings.get(name) || undefined;
  const [user, password] = login === undefined ? [] : login.split(/:(.*)/s).map(decode);
  const servers = hosts.split(",").map(parseHost);
  return {
    /** HOST:PORT each; they are servers of one cluster. */
    servers,
    bus,
    tls: scheme === "tls",
    user,
    password,
    /** This and the next four: paths of files. */
    creds: setting("creds"),
    nkey: setting("nkey"),
    ca: setting("ca"),
    cert: setting("cert"),
    key: setting("key"),
    /** Milliseconds for which a request is tried again while no server answers. */
    patience: parsePatience(setting("wait")),
    /** Whether the first connection is tried again too. */
    waitsForServer: settings.has("wait"),
    /** The JetStream domain, where the streams are behind a leaf node. */
    domain: parseDomain(setting("domain")),
    /** The address without its login, for sentences. */
    label: `${scheme}://${servers.join(",")}/${bus}`,
  };
}

function parseHost(host: string): string {
  const [, name, port = "4222"] = /^(\[[0-9A-Fa-f:.]+\]|[^:\s]+)(?::(\d{1,5}))?$/.exec(host) ?? [];
  if (name === undefined || Number(port) > 65_535)
    throw invalid(`${JSON.stringify(host)} is no HOST:PORT of a NATS server`);
  return `${name}:${port}`;
}

const PATIENCE_SECONDS = 10;

function parsePatience(text: string | undefined): number {
  const seconds = text === undefined ? PATIENCE_SECONDS : Number(text);
  if (seconds >= 1 && seconds <= 86_400) return seconds * 1_000;
  throw invalid(`wait in a NATS address is a number of seconds from 1 to 86400, not ${JSON.stringify(text)}`);
}

function parseDomain(domain: string | undefined): string | undefined {
  if (domain === undefined || /^[A-Za-z0-9_-]+$/.test(domain)) return domain;
  throw invalid(`${JSON.stringify(domain)} is no JetStream domain`);
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw invalid("the user and password in a NATS address must be percent-encoded");
  }
}

export type Login = ReturnType<typeof loginOf>;

/** The login's options for a connection. `nkey` is the name of its key at the server, where it has one. */
export function loginOf({ creds, nkey, user, password, tls, ca, cert, key }: Address) {
  const files = { ...(ca && { caFile: ca }), ...(cert && { certFile: cert }), ...(key && { keyFile: key }) };
  for (const file of [ca, cert, key]) if (file !== undefined) readBytes(file);
  const secure = tls || ca !== undefined || cert !== undefined ? { tls: files } : {};
  if (creds !== undefined) return { ...secure, authenticator: [credsAuthenticator(readBytes(creds))], nkey: undefined };
  if (nkey !== undefined) {
    const { authenticator, name } = loginWithKey(readBytes(nkey));
    return { ...secure, authenticator: [authenticator], nkey: name };
  }
  if (user === undefined) return { ...secure, nkey: undefined };
  return { ...secure, ...(password === undefined ? { token: user } : { user, pass: password }), nkey: undefined };
}

function loginWithKey(file: Buffer): { authenticator: Authenticator; name: string | undefined } {
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
/** Makes the text begin with U, for a user. */
const USER = 20 << 3;

/** Spells a public Ed25519 key as NATS does: base32 of its kind, its 32 bytes and a checksum. */
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

function readBytes(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw invalid(
      `the NATS address names ${file}, which can't be read: ${error instanceof Error ? error.message : error}`,
    );
  }
}
