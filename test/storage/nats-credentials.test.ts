import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createAccount, createOperator, createUser, type KeyPair } from "@nats-io/nkeys";
import { contentsOf } from "../support/bus.ts";
import { needsNats, startNats } from "../support/nats-server.ts";
import { run, start, temporaryFolder } from "../support/program.ts";
import { freePort } from "../support/sockets.ts";

/** A token as NATS signs it: an operator vouches for an account, and the account for a user. */
function token(issuer: KeyPair, subject: KeyPair, nats: object): string {
  const encoded = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url");
  const claims = {
    jti: "x",
    iat: 1_795_200_000,
    iss: issuer.getPublicKey(),
    sub: subject.getPublicKey(),
    name: "test",
  };
  const said = `${encoded({ typ: "JWT", alg: "ed25519-nkey" })}.${encoded({ ...claims, nats: { ...nats, version: 2 } })}`;
  return `${said}.${Buffer.from(issuer.sign(Buffer.from(said))).toString("base64url")}`;
}

const ALL = Object.fromEntries(
  [
    "subs",
    "data",
    "payload",
    "imports",
    "exports",
    "conn",
    "leaf",
    "mem_storage",
    "disk_storage",
    "streams",
    "consumer",
  ].map((limit) => [limit, -1]),
);

function credentials(jwt: string, user: KeyPair): string {
  const seed = Buffer.from(user.getSeed()).toString();
  return `-----BEGIN NATS USER JWT-----\n${jwt}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`;
}

/** A server's configuration with one account, and the credentials of a user of it and of a stranger. */
function accounts() {
  const [operator, account, system, user, stranger] = [
    createOperator(),
    createAccount(),
    createAccount(),
    createUser(),
    createUser(),
  ];
  const limits = { limits: { ...ALL, wildcards: true }, type: "account" };
  const preload = [
    `${account.getPublicKey()}: ${token(operator, account, limits)}`,
    `${system.getPublicKey()}: ${token(operator, system, { type: "account", limits: { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, conn: -1, leaf: -1, wildcards: true } })}`,
  ].join("\n");
  const named = { type: "operator", system_account: system.getPublicKey() };
  const userLimits = { type: "user", subs: -1, data: -1, payload: -1 };
  return {
    config: `operator: ${token(operator, operator, named)}\nresolver: MEMORY\nresolver_preload: {\n${preload}\n}\n`,
    user: credentials(token(account, user, userLimits), user),
    stranger: credentials(token(createAccount(), stranger, userLimits), stranger),
  };
}

suite("credentials of NATS", needsNats, () => {
  test("a .creds file logs in, and another's is refused in a sentence", async () => {
    using folder = temporaryFolder();
    const { config, user, stranger } = accounts();
    writeFileSync(folder.file("user.creds"), user);
    writeFileSync(folder.file("stranger.creds"), stranger);
    await using server = await startNats(config);
    const by = (name: string) => ({ IPC_STORE: `nats://127.0.0.1:${server.port}?creds=${folder.file(name)}` });
    const sent = await run(["send", "c", "a", "hello"], by("user.creds"));
    assert.deepEqual([sent.code, sent.stderr], [0, ""]);
    assert.deepEqual(contentsOf(JSON.parse((await run(["read", "c", "me"], by("user.creds"))).stdout)), ["hello"]);
    const refused = await run(["read", "c", "me"], by("stranger.creds"));
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /^Error: NATS at nats:\/\/127\.0\.0\.1:\d+\/el-ipc refused this login: /);
    assert.match(
      (await run(["channels"], by("missing.creds"))).stderr,
      /^Error: the NATS address names .*missing\.creds/,
    );
  });

  test("a leaf node passes requests on to the cluster's domain, where the streams are", async () => {
    using folder = temporaryFolder();
    using hubs = temporaryFolder();
    using laptops = temporaryFolder();
    const { config, user } = accounts();
    writeFileSync(folder.file("leaf.creds"), user);
    const [leaves, port, own] = [await freePort(), await freePort(), await freePort()];
    const jetstream = `jetstream { store_dir: "${hubs.path}/hub", domain: hub }`;
    const hub = `server_name: hub\n${jetstream}\nleafnodes { listen: "127.0.0.1:${leaves}" }\n${config}`;
    const startHub = () => startNats(hub, { port, folder: hubs.path });
    const first = await startHub();
    const remote = `{ url: "nats-leaf://127.0.0.1:${leaves}", credentials: "${folder.file("leaf.creds")}" }`;
    const leaf = `server_name: laptop\njetstream: disabled\nleafnodes { remotes: [ ${remote} ] }`;
    await using _leaf = await startNats(leaf, { port: own, folder: laptops.path });
    const laptop = { IPC_STORE: `nats://127.0.0.1:${own}?domain=hub&wait=20` };
    const sent = await run(["send", "c", "a", "from the laptop"], laptop);
    assert.deepEqual([sent.code, sent.stderr], [0, ""]);
    const direct = { IPC_STORE: `nats://127.0.0.1:${port}?creds=${folder.file("leaf.creds")}` };
    assert.deepEqual(contentsOf(JSON.parse((await run(["read", "c", "me"], direct)).stdout)), ["from the laptop"]);
    await run(["send", "c", "b", "to the laptop"], direct);
    const read = await run(["read", "c", "laptop"], laptop);
    assert.deepEqual(contentsOf(JSON.parse(read.stdout)), ["from the laptop", "to the laptop"]);
    // The cluster can't be reached for a while.
    await first[Symbol.asyncDispose]();
    const meanwhile = start(["send", "c", "a", "meanwhile"], laptop);
    await sleep(1_000);
    await using _again = await startHub();
    const { code, stderr } = await meanwhile.ended;
    assert.deepEqual([code, stderr], [0, ""]);
  });
});
