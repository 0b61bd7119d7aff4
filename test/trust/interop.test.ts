import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, suite, test } from "node:test";
import { objectIn } from "../support/http.ts";
import { sendBytes, stampFor } from "../support/identity.ts";
import { secureBus, succeeded } from "../support/secure-bus.ts";

const bus = await secureBus();
const server = await bus.serve({ IPC_READ_AUTH: "required" });
after(async () => {
  await server[Symbol.asyncDispose]();
  bus[Symbol.dispose]();
});

const channel = "öps: 1,2";
const content = 'héllo, wörld\nsecond line: "quoted", 🚀';

/** Runs another program with nothing of this process's environment but where to find programs. */
function ran(program: string, words: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const env = { PATH: process.env.PATH ?? "", HOME: bus.home, ...environment };
  return spawnSync(program, words, { env, encoding: "utf8", timeout: 20_000 });
}

function missing(program: string, words: readonly string[]): string | false {
  const { status } = ran(program, words);
  return status === 0 ? false : `${[program, ...words].join(" ")} doesn't work here`;
}

const PYTHON = "/usr/bin/python3";
const noOpenssl = missing("openssl", ["version"]);
const noPython = missing(PYTHON, ["-c", "import cryptography.hazmat.primitives.asymmetric.ed25519"]);

/** The body of the request that the command line would send to a server. */
async function sentByUs(sender: string, key: string): Promise<Readonly<Record<string, unknown>>> {
  let body: Readonly<Record<string, unknown>> = {};
  const listener = createServer(async (request, response) => {
    const text = Buffer.concat(await Array.fromAsync(request)).toString();
    if (request.method === "POST") body = objectIn(text);
    response.end(JSON.stringify({ ok: true, id: 1, status: "ok", did: bus.did }));
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const address = listener.address();
  const url = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
  await succeeded(bus.run("send", channel, sender, content, "--key", key, "--url", url));
  listener.closeAllConnections();
  listener.close();
  return body;
}

async function registerPem(name: string, pub: string): Promise<void> {
  await succeeded(bus.run("register", name, "--pubkey", pub, "--as", "ops", "--key", bus.keyOf(bus.ops)));
}

/** Both of an agent's ways to sign are taken. */
async function takes(sender: string, v1: string, v2: string, stamp: ReturnType<typeof stampFor>): Promise<void> {
  const one = await server.ask("POST /send", { body: { channel, sender, content, signature: v1 } });
  assert.equal(one.status, 200, one.text);
  const two = await server.ask("POST /send", { body: { channel, sender, content, v: 2, ...stamp, signature: v2 } });
  assert.equal(two.status, 200, two.text);
  const messages = (await bus.read(channel, `reader of ${sender}`)).filter((message) => message.sender === sender);
  assert.deepEqual(
    messages.map((message) => [message.content, message.signed]),
    [
      [content, true],
      [content, true],
    ],
  );
}

/** Makes a key, and signs v1 and v2 of what its environment says, in netstrings of its own. */
const SHELL = `
set -eu; cd "$FOLDER"; export LC_ALL=C
openssl genpkey -algorithm ed25519 -out openssl.key 2>/dev/null
openssl pkey -in openssl.key -pubout -out openssl.pub
netstring() { printf '%d:%s,' "\${#1}" "$1"; }
printf '%s\\n%s\\n%s' "$CHANNEL" "$SENDER" "$CONTENT" > v1
{ printf 'el-ipc\\0v2\\0'
  for field in send "$AUD" "$CHANNEL" "$SENDER" "$NONCE" "$TS" "$CONTENT"; do netstring "$field"; done
} > v2
for version in v1 v2; do
  openssl pkeyutl -sign -rawin -inkey openssl.key -in $version -out $version.sig
  openssl base64 -A -in $version.sig; echo
done
`;

const PYTHON_SIGNS = `
import base64, json, os
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
e = os.environ
key = Ed25519PrivateKey.generate()
def netstrings(*fields):
    parts = [f if isinstance(f, bytes) else f.encode() for f in fields]
    return b"el-ipc\\0v2\\0" + b"".join(str(len(p)).encode() + b":" + p + b"," for p in parts)
def signed(data):
    return base64.b64encode(key.sign(data)).decode()
def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")
with open(e["FOLDER"] + "/python.pub", "wb") as file:
    file.write(key.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo))
with open(e["FOLDER"] + "/python.key", "wb") as file:
    file.write(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()))
os.chmod(e["FOLDER"] + "/python.key", 0o600)
claims = {"iss": e["SENDER"], "sub": e["SENDER"], "aud": e["AUD"], "exp": int(e["TS"]) // 1000 + 600}
text = part({"alg": "EdDSA", "typ": "JWT"}) + b"." + part(claims)
token = text + b"." + base64.urlsafe_b64encode(key.sign(text)).rstrip(b"=")
v1 = "\\n".join([e["CHANNEL"], e["SENDER"], e["CONTENT"]]).encode()
v2 = netstrings("send", e["AUD"], e["CHANNEL"], e["SENDER"], e["NONCE"], e["TS"], e["CONTENT"])
print(json.dumps({"v1": signed(v1), "v2": signed(v2), "token": token.decode()}))
`;

const PYTHON_VERIFIES = `
import base64, os
from cryptography.hazmat.primitives.serialization import load_pem_public_key
e = os.environ
with open(e["PUB"], "rb") as file:
    key = load_pem_public_key(file.read())
with open(e["BYTES"], "rb") as file:
    key.verify(base64.b64decode(e["SIGNATURE"], validate=True), file.read())
print("verified")
`;

suite("other programs' signatures", { concurrency: 2 }, () => {
  test("signatures by openssl pkeyutl are accepted, v1 and v2", { skip: noOpenssl }, async () => {
    const stamp = stampFor(bus.did);
    const fields = { CHANNEL: channel, SENDER: "openssl", CONTENT: content, AUD: stamp.aud, NONCE: stamp.nonce };
    const { stdout, stderr } = ran("bash", ["-c", SHELL], { FOLDER: bus.home, TS: String(stamp.ts), ...fields });
    const [v1 = "", v2 = ""] = stdout.split("\n");
    assert.equal(v1.length, 88, stderr);
    await registerPem("openssl", bus.file("openssl.pub"));
    await takes("openssl", v1, v2, stamp);
    await succeeded(bus.run("send", channel, "openssl", "with its key", "--key", bus.file("openssl.key")));
  });

  test("openssl verifies our signatures", { skip: noOpenssl }, async () => {
    await succeeded(bus.run("keygen", "--out", bus.file("ours")));
    const body = await sentByUs("ours", bus.file("ours.key"));
    const signature = bus.write("ours.sig", Buffer.from(String(body.signature), "base64"));
    const stamp = { aud: String(body.aud), nonce: String(body.nonce), ts: Number(body.ts) };
    const right = bus.write("ours.bytes", sendBytes("ours", { channel, content }, stamp));
    const other = bus.write("other.bytes", sendBytes("ours", { channel, content: `${content}.` }, stamp));
    const verify = (bytes: string) =>
      ran("openssl", [
        ...[
          "pkeyutl",
          "-verify",
          "-rawin",
          "-pubin",
          "-inkey",
          bus.file("ours.pub"),
          "-sigfile",
          signature,
          "-in",
          bytes,
        ],
      ]);
    assert.equal(verify(right).status, 0, verify(right).stderr);
    assert.notEqual(verify(other).status, 0);
  });

  test("signatures by Python's cryptography are accepted, v1 and v2, and so is its token", {
    skip: noPython,
  }, async () => {
    const stamp = stampFor(bus.did);
    const fields = { CHANNEL: channel, SENDER: "python", CONTENT: content, AUD: stamp.aud, NONCE: stamp.nonce };
    const { stdout, stderr } = ran(PYTHON, ["-c", PYTHON_SIGNS], { FOLDER: bus.home, TS: String(stamp.ts), ...fields });
    const { v1, v2, token } = objectIn(stdout);
    assert.ok(typeof v1 === "string" && typeof v2 === "string" && typeof token === "string", stderr);
    await registerPem("python", bus.file("python.pub"));
    await takes("python", v1, v2, stamp);
    const reading = await server.ask("GET /messages?channel=c&agent=python", { bearer: token });
    assert.equal(reading.status, 200, reading.text);
    await succeeded(bus.run("send", channel, "python", "with its key", "--key", bus.file("python.key")));
  });

  test("Python's cryptography verifies our signatures", { skip: noPython }, async () => {
    await succeeded(bus.run("keygen", "--out", bus.file("mine")));
    const body = await sentByUs("mine", bus.file("mine.key"));
    const stamp = { aud: String(body.aud), nonce: String(body.nonce), ts: Number(body.ts) };
    const bytes = bus.write("mine.bytes", sendBytes("mine", { channel, content }, stamp));
    const environment = { PUB: bus.file("mine.pub"), BYTES: bytes, SIGNATURE: String(body.signature) };
    const { stdout, stderr } = ran(PYTHON, ["-c", PYTHON_VERIFIES], environment);
    assert.equal(stdout, "verified\n", stderr);
    bus.write("mine.bytes", `${readFileSync(bytes, "latin1")}.`);
    assert.notEqual(ran(PYTHON, ["-c", PYTHON_VERIFIES], environment).status, 0);
  });
});
