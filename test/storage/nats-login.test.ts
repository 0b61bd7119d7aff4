import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { publicKeyOf, rawKeyBytes, readPrivateKey } from "../../src/core/keys.ts";
import { nkeyOf, readAddress } from "../../src/storage/nats/address.ts";
import { contentsOf, temporaryBus } from "../support/bus.ts";
import { needsNats, startNats } from "../support/nats-server.ts";
import { type Environment, run, temporaryFolder } from "../support/program.ts";
import { freePort } from "../support/sockets.ts";

/** The permissions that docs/nats.md lists for an agent on the bus `el-ipc`. */
function permissionsIn(page: string): string {
  return /```text\n(permissions[\s\S]*?)```/.exec(page)?.[1] ?? assert.fail("the page lists no permissions");
}

const page = readFileSync(new URL("../../docs/nats.md", import.meta.url), "utf8");

/** Does what an agent does. */
async function doAll(environment: Environment): Promise<void> {
  const all = [
    ["send", "c", "a", "hello"],
    ["read", "c", "b"],
    ["channels"],
    ["connect", "backend"],
    ["signal", "set", "ready"],
    ["status"],
    ["reset"],
  ];
  for (const words of all) {
    const { code, stderr } = await run(words, environment);
    assert.deepEqual([code, stderr], [0, ""], words.join(" "));
  }
}

suite("logging in to a NATS server", needsNats, () => {
  test("by an el-ipc key; the refusal shows its name in NATS", async () => {
    using bus = temporaryBus();
    await bus.run("keygen", "--out", bus.file("herald"));
    const nkey = nkeyOf(rawKeyBytes(publicKeyOf(readPrivateKey(readFileSync(bus.file("herald.key"))))));
    assert.match(nkey, /^U[A-Z2-7]{55}$/);
    await using server = await startNats(`authorization { users: [ { nkey: ${nkey} } ] }`);
    const address = `nats://127.0.0.1:${server.port}`;
    const logged = { IPC_STORE: `${address}?nkey=${bus.file("herald.key")}` };
    assert.equal((await run(["send", "c", "herald", "hello"], logged)).code, 0);
    assert.deepEqual(contentsOf(JSON.parse((await run(["read", "c", "me"], logged)).stdout)), ["hello"]);
    await bus.run("keygen", "--out", bus.file("rival"));
    const rival = nkeyOf(rawKeyBytes(publicKeyOf(readPrivateKey(readFileSync(bus.file("rival.key"))))));
    const refused = await run(["read", "c", "me"], { IPC_STORE: `${address}?nkey=${bus.file("rival.key")}` });
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, new RegExp(`^Error: NATS at ${address}/el-ipc refused the key ${rival}: `));
  });

  test("by user and password, which no message shows; without them it is refused", async () => {
    await using server = await startNats(`authorization { user: "me", password: "s3 cret/@" }`);
    const address = `127.0.0.1:${server.port}`;
    const right = { IPC_STORE: `nats://me:s3%20cret%2F%40@${address}` };
    assert.deepEqual(await run(["channels"], right), { code: 0, stdout: "[]\n", stderr: "" });
    for (const login of ["", "me:wrong@"]) {
      const { code, stdout, stderr } = await run(["channels"], { IPC_STORE: `nats://${login}${address}` });
      assert.deepEqual([code, stdout], [1, ""]);
      assert.match(stderr, /^Error: NATS at nats:\/\/127\.0\.0\.1:\d+\/el-ipc refused this login: /);
      assert.doesNotMatch(stderr, /wrong|me:/);
    }
  });

  test("the page's permissions allow an agent everything, and no other subject", async () => {
    const user = `{ user: "agent", password: "secret", ${permissionsIn(page)} }`;
    await using server = await startNats(`authorization { users: [ ${user} ] }`);
    const environment = { IPC_STORE: `nats://agent:secret@127.0.0.1:${server.port}` };
    await doAll(environment);
    const other = await run(["send", "c", "a", "x"], { IPC_STORE: `${environment.IPC_STORE}/other` });
    assert.equal(other.code, 1);
    assert.match(other.stderr, /^Error: NATS at .* may not publish .*docs\/nats\.md/);
  });

  test("behind a leaf node the same permissions under the domain's name suffice, for the agent and the leaf node", async () => {
    using hubs = temporaryFolder();
    const leaves = await freePort();
    const user = (name: string, permissions: string) =>
      `authorization { users: [ { user: ${name}, password: "secret", ${permissions} } ] }`;
    const listed = permissionsIn(page);
    const named = listed.replaceAll("$JS.API.", "$JS.hub.API.");
    const domain = `server_name: hub\njetstream { store_dir: "${hubs.path}/hub", domain: hub }`;
    const users = `authorization { users: [
      { user: agent, password: "secret", ${listed} }, { user: laptop, password: "secret", ${named} } ] }`;
    await using hub = await startNats(`${domain}\nleafnodes { listen: "127.0.0.1:${leaves}" }\n${users}`);
    await doAll({ IPC_STORE: `nats://agent:secret@127.0.0.1:${hub.port}?domain=hub` });
    // Its refusal names what the server has made of the subject, and so no request that the client knows.
    const mixed = await run(["channels"], {
      IPC_STORE: `nats://laptop:secret@127.0.0.1:${hub.port}?domain=hub&wait=1`,
    });
    assert.equal(mixed.code, 1);
    assert.match(mixed.stderr, /^Error: NATS at .* gave no answer for 1 second but: .* "\$JS\.API\.STREAM\.NAMES"/);
    const remote = `{ url: "nats-leaf://laptop:secret@127.0.0.1:${leaves}" }`;
    const leafnodes = `server_name: laptop\njetstream: disabled\nleafnodes { remotes: [ ${remote} ] }`;
    await using leaf = await startNats(`${leafnodes}\n${user("me", named)}`);
    await doAll({ IPC_STORE: `nats://me:secret@127.0.0.1:${leaf.port}?domain=hub&wait=20` });
    await using strict = await startNats(`${leafnodes}\n${user("me", listed)}`);
    const refused = await run(["channels"], { IPC_STORE: `nats://me:secret@127.0.0.1:${strict.port}?domain=hub` });
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /^Error: NATS at .* may not publish to \$JS\.hub\.API\..*docs\/nats\.md/);
  });

  test("over TLS with a certificate of one's own", async () => {
    using folder = temporaryFolder();
    const [key, cert] = [folder.file("key.pem"), folder.file("cert.pem")];
    const made = spawnSync("openssl", [
      ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2"],
      ...["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
    ]);
    assert.equal(made.status, 0, String(made.stderr));
    await using server = await startNats(`tls { cert_file: "${cert}", key_file: "${key}" }`);
    const address = `tls://127.0.0.1:${server.port}`;
    assert.equal((await run(["channels"], { IPC_STORE: `${address}?ca=${cert}` })).stdout, "[]\n");
    const { code, stderr } = await run(["channels"], { IPC_STORE: address });
    assert.equal(code, 1);
    assert.match(stderr, /^Error: NATS at tls:.* can't be reached: .*certificate/i);
  });
});

suite("a NATS address", () => {
  test("names servers, a bus and a login", () => {
    const { servers, bus, user, password, creds, label } = readAddress("nats://u%40x:p%3A@a,b:1,[::1]:2/team?creds=/c");
    assert.deepEqual(servers, ["a:4222", "b:1", "[::1]:2"]);
    assert.deepEqual([bus, user, password, creds], ["team", "u@x", "p:", "/c"]);
    assert.equal(label, "nats://a:4222,b:1,[::1]:2/team");
    assert.equal(readAddress("nats://localhost").bus, "el-ipc");
  });

  const wrong: readonly [string, RegExp][] = [
    ["nats://", /a NATS address is nats:/],
    ["http://a", /a NATS address is nats:/],
    ["nats://a:99999", /is no HOST:PORT/],
    ["nats://a b", /is no HOST:PORT/],
    ["nats://a/b/c", /the bus in a NATS address is named by/],
    ["nats://a/x.y", /the bus in a NATS address is named by/],
    [`nats://a/${"x".repeat(65)}`, /the bus in a NATS address is named by/],
    ["nats://a?credz=x", /has no "credz"; it may have creds,/],
    ["nats://%zz@a", /must be percent-encoded/],
    ["nats://a?domain=a.b", /is no JetStream domain/],
    ["nats://a?wait=forever", /is a number of seconds/],
  ];
  for (const [address, fault] of wrong) {
    test(`that is wrong is refused in a sentence: ${address.slice(0, 20)}`, () => {
      assert.throws(() => readAddress(address), fault);
    });
  }
});
