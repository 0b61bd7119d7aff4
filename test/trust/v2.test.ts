import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { after, suite, test } from "node:test";
import { readPrivateKey } from "../../src/core/keys.ts";
import { messageBytes, sign } from "../../src/core/signature.ts";
import { askObject, isObject, objectIn } from "../support/http.ts";
import {
  type Content,
  createIdentity,
  didOf,
  identityOfSeed,
  netstrings,
  type Stamp,
  sendBytes,
  signatureOf,
  signV1,
  signV2,
  stampFor,
} from "../support/identity.ts";
import { eventually, openBus, type SecureBus, type Server, secureBus, succeeded } from "../support/secure-bus.ts";

const said = { channel: "builds", content: "main is green" };

/** For what needs no bus of its own. */
const shared = await secureBus();
const sharedServer = await shared.serve();
after(async () => {
  await sharedServer[Symbol.asyncDispose]();
  shared[Symbol.dispose]();
});

async function refuses(server: Server, body: object, status: number, sentence: RegExp): Promise<void> {
  const { status: given, json } = await server.ask("POST /send", { body });
  assert.match(String(json.error), sentence);
  assert.equal(given, status);
}

function countOf(bus: SecureBus): unknown {
  return bus.sql("SELECT count(*) AS count FROM messages WHERE channel <> 'security'")[0]?.count;
}

suite("v2 signatures", { concurrency: 4 }, () => {
  test("the known answer: what herald signs to send héllo is these bytes, and this signature", () => {
    const seed = Buffer.from("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "hex");
    const aud = "did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw";
    const stamp: Stamp = { aud, nonce: "AAECAwQFBgcICQoLDA0ODw", ts: 1_795_200_000_000 };
    const message = { channel: "ops", sender: "herald", content: "héllo\nworld" };
    const bytes = messageBytes(message, stamp);
    assert.equal(bytes.length, 151);
    const digest = createHash("sha256").update(bytes).digest("hex");
    assert.equal(digest, "820d602c5d39c5a04e528bd3bd85ac9134cd22e95cc7d0c6b4759f6f65ec4ae3");
    const signature = "y1myk1TnWZot2pFyjtYTnlWz5/LcrQNv0xHiHaF1C/P1t7ann0N/JV4OcS+UfQP4QZSda5cqfseRYPCg/FngAw==";
    assert.equal(sign(bytes, readPrivateKey(seed)), signature);

    const herald = identityOfSeed("herald", seed);
    assert.equal(didOf(herald), aud);
    assert.deepEqual(sendBytes("herald", message, stamp), bytes);
    assert.equal(signatureOf(herald, bytes), signature);
  });

  test("no two requests have the same bytes, whatever their fields hold", () => {
    const pieces = ["a", "1:a,", ",", ":", "6:herald,", "a\nb", "send", "é", "3:send,1:a,"];
    const seen = new Map<string, string>();
    for (const channel of pieces) {
      for (const sender of pieces) {
        for (const content of pieces) {
          for (const nonce of ["AAECAwQFBgcICQoLDA0ODw", "A,1:AwQFBgcICQoLDA0ODw"]) {
            const fields = JSON.stringify([channel, sender, nonce, content]);
            const bytes = messageBytes({ channel, sender, content }, { aud: "", nonce, ts: 1 }).toString("hex");
            assert.equal(seen.get(bytes) ?? fields, fields);
            seen.set(bytes, fields);
          }
        }
      }
    }
    assert.equal(seen.size, 2 * pieces.length ** 3);
  });

  test("D2 the same request posted twice is one message, and the second answer has the first one's id", async () => {
    const [bus, server] = [shared, sharedServer];
    const body = signV2(bus.herald, { channel: "twice", content: "main is green" }, stampFor(bus.did));
    const first = await server.ask("POST /send", { body });
    const { id } = first.json;
    assert.deepEqual([first.status, first.json], [200, { ok: true, id }]);
    const again = await server.ask("POST /send", { body });
    assert.deepEqual([again.status, again.json], [200, { ok: true, id, duplicate: true }]);
    assert.equal((await bus.read("twice", "scout")).length, 1);
  });

  test("it stays one message over two servers on one database, and after a restart", async () => {
    using bus = await secureBus();
    const body = signV2(bus.herald, said, stampFor(bus.did));
    {
      await using one = await bus.serve();
      await using other = await bus.serve();
      assert.equal((await one.ask("POST /send", { body })).json.duplicate, undefined);
      assert.deepEqual((await other.ask("POST /send", { body })).json, { ok: true, id: 1, duplicate: true });
      one.child.kill("SIGTERM");
      other.child.kill("SIGKILL");
      await Promise.all([one.ended, other.ended]);
    }
    await using later = await bus.serve();
    assert.deepEqual((await later.ask("POST /send", { body })).json, { ok: true, id: 1, duplicate: true });
    assert.equal(countOf(bus), 1);
  });

  test("fifty of the same at once are one message", async () => {
    using bus = await secureBus();
    await using one = await bus.serve();
    await using other = await bus.serve();
    const body = signV2(bus.herald, said, stampFor(bus.did));
    const servers = [one, other];
    const asked = Array.from({ length: 50 }, (_, n) => servers[n % 2]?.ask("POST /send", { body }));
    const answers = (await Promise.all(asked)).map((answer) => answer?.json ?? {});
    assert.equal(answers.filter(({ duplicate }) => duplicate === undefined).length, 1);
    assert.deepEqual(new Set(answers.map(({ id }) => id)), new Set([1]));
    assert.equal(countOf(bus), 1);
  });

  test("the command line sends v2 to a server, and can repeat a request whose answer was lost", async () => {
    using bus = await secureBus();
    await using server = await bus.serve();
    const bodies: Readonly<Record<string, unknown>>[] = [];
    const between = createServer(async (request, response) => {
      const body = Buffer.concat(await Array.fromAsync(request)).toString();
      if (request.method === "POST") bodies.push(objectIn(body));
      const what = `${request.method} ${request.url}`;
      const answer = await askObject(server.url, what, body === "" ? {} : { body });
      response.writeHead(answer.status).end(answer.text);
    });
    await new Promise<void>((resolve) => between.listen(0, "127.0.0.1", resolve));
    const address = between.address();
    const url = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
    const words = ["builds", "herald", "main is green", "--key", bus.keyOf(bus.herald), "--url", url];
    const { stdout } = await succeeded(bus.run("send", ...words));
    between.close();
    assert.equal(objectIn(stdout).id, 1);
    const [body] = bodies;
    assert.ok(isObject(body));
    assert.deepEqual([bodies.length, body.v, body.aud], [1, 2, bus.did]);
    assert.ok(Math.abs(Number(body.ts) - Date.now()) < 60_000);
    assert.deepEqual((await server.ask("POST /send", { body })).json, { ok: true, id: 1, duplicate: true });
  });

  test("the command line signs v2 on the database too", async () => {
    using bus = await secureBus();
    await succeeded(bus.run("send", "builds", "herald", "x", "--key", bus.keyOf(bus.herald)));
    assert.equal(bus.sql("SELECT signer FROM nonces WHERE message_id = 1")[0]?.signer, "herald");
  });

  test("in open mode a repeated v2 request is one message, too", async () => {
    using bus = openBus();
    await using server = await bus.serve();
    const body = signV2(createIdentity("herald"), said, stampFor(""));
    assert.deepEqual((await server.ask("POST /send", { body })).json, { ok: true, id: 1 });
    assert.deepEqual((await server.ask("POST /send", { body })).json, { ok: true, id: 1, duplicate: true });
    await refuses(server, signV2(createIdentity("herald"), said, stampFor("did:key:z6Mk")), 403, /another bus/);
  });

  test("another message under the same nonce is a conflict, and its sender's alone", async () => {
    const [bus, server] = [shared, sharedServer];
    const stamp = stampFor(bus.did);
    const first = { channel: "nonces", content: "main is green" };
    assert.equal((await server.ask("POST /send", { body: signV2(bus.herald, first, stamp) })).status, 200);
    const changed = signV2(bus.herald, { ...first, content: "main is red" }, stamp);
    await refuses(server, changed, 409, /this nonce was used for another message/);
    await refuses(server, signV2(bus.herald, first, { ...stamp, ts: stamp.ts + 1 }), 409, /this nonce was used/);
    const byAnother = await server.ask("POST /send", { body: signV2(bus.scout, first, stamp) });
    assert.deepEqual([byAnother.status, byAnother.json.duplicate], [200, undefined]);
    const senders = (await bus.read("nonces", "reader")).map(({ sender, content }) => [sender, content]);
    assert.deepEqual(senders, [
      ["herald", "main is green"],
      ["scout", "main is green"],
    ]);
  });

  test("a request is refused five minutes off the server's time, which the refusal says", async () => {
    const [bus, server] = [shared, sharedServer];
    for (const seconds of [-303, 303, -3_600, 86_400]) {
      const body = signV2(bus.herald, said, stampFor(bus.did, seconds * 1_000));
      const { status, json } = await server.ask("POST /send", { body });
      const time = Number(/\((\d{13})\)$/.exec(String(json.error))?.[1]);
      assert.deepEqual([status, json.reason], [403, "stale"], String(seconds));
      assert.ok(Math.abs(time - Date.now()) < 60_000, String(json.error));
    }
    for (const seconds of [-290, 290]) {
      const body = signV2(bus.herald, said, stampFor(bus.did, seconds * 1_000));
      assert.equal((await server.ask("POST /send", { body })).status, 200, String(seconds));
    }
  });

  test("a request signed for another bus is refused", async () => {
    const [bus, server] = [shared, sharedServer];
    const elsewhere = didOf(createIdentity("another operator"));
    for (const aud of [elsewhere, "", bus.did.toLowerCase(), `${bus.did} `]) {
      await refuses(
        server,
        signV2(bus.herald, said, stampFor(aud)),
        403,
        /meant for another bus: this bus is did:key:z/,
      );
    }
    const { aud: _, ...without } = signV2(bus.herald, said, stampFor(bus.did));
    await refuses(server, without, 403, /invalid signature/);
  });

  test("a malformed stamp is refused as such", async () => {
    const [bus, server] = [shared, sharedServer];
    const right = signV2(bus.herald, said, stampFor(bus.did));
    const { nonce: _, ...noNonce } = right;
    const { ts: __, ...noTs } = right;
    await refuses(server, noNonce, 400, /needs nonce and ts/);
    await refuses(server, noTs, 400, /needs nonce and ts/);
    for (const nonce of [
      "short",
      `${right.nonce}=`,
      `${right.nonce.slice(1)}+`,
      "A".repeat(23),
      7,
      {},
      "é".repeat(22),
    ]) {
      await refuses(server, { ...right, nonce }, 400, /^nonce must be/);
    }
    for (const ts of ["1795200000000", 1.5, -1, 1e300, [1]])
      await refuses(server, { ...right, ts }, 400, /^ts must be/);
    for (const v of [0, 3, "2", 2.5]) await refuses(server, { ...right, v }, 400, /^v must be/);
    await refuses(server, { ...right, aud: ["x"] }, 400, /^aud must be/);
  });

  test("a v2 request without its v, or with any field changed, has no signature that fits", async () => {
    const [bus, server] = [shared, sharedServer];
    const right = signV2(bus.herald, said, stampFor(bus.did));
    const { v: _, ...asV1 } = right;
    const changes = [
      asV1,
      { ...right, v: 1 },
      { ...right, channel: "build" },
      { ...right, content: "main is red" },
      { ...right, sender: "scout" },
      { ...right, ts: right.ts + 1 },
      { ...right, nonce: stampFor("").nonce },
    ];
    for (const body of changes) await refuses(server, body, 403, /invalid signature/);
  });

  test("v1 is accepted, unless the bus or the agent's registration says v2", async () => {
    using bus = await secureBus();
    const { herald, scout, did } = bus;
    const key = bus.keyOf(bus.ops);
    const words = ["--pubkey", bus.write("h.pub", herald.publicPem), "--as", "ops", "--key", key, "--v2"];
    await succeeded(bus.run("register", "herald", ...words));
    await using server = await bus.serve();
    assert.equal((await server.ask("POST /send", { body: signV1(scout, said) })).status, 200);
    await refuses(server, signV1(herald, said), 403, /a v2 signature is required/);
    assert.equal((await server.ask("POST /send", { body: signV2(herald, said, stampFor(did)) })).status, 200);

    await using strict = await bus.serve({ IPC_SIG_POLICY: "v2" });
    await refuses(strict, signV1(scout, said), 403, /a v2 signature is required/);
    assert.equal((await strict.ask("POST /send", { body: signV2(scout, said, stampFor(did)) })).status, 200);
    const wrong = await bus.runWith({ IPC_SIG_POLICY: "v3" }, "channels");
    assert.match(wrong.stderr, /^Error: IPC_SIG_POLICY must be any or v2/);
  });

  test("nonces are kept for an hour and then cleaned up", async () => {
    using bus = await secureBus();
    await using server = await bus.serve();
    const send = () => server.ask("POST /send", { body: signV2(bus.herald, said, stampFor(bus.did)) });
    const kept = () => bus.sql("SELECT nonce FROM nonces WHERE message_id IN (1, 2)").length;
    await send();
    await send();
    bus.sql("UPDATE nonces SET seen_at = seen_at - 3590 WHERE message_id IN (1, 2)");
    await send();
    assert.equal(kept(), 2);
    bus.sql("UPDATE nonces SET seen_at = seen_at - 20 WHERE message_id = 1");
    await send();
    assert.equal(kept(), 1);
  });

  test("a message from before the first operator isn't shown as signed: nobody could have checked it", async () => {
    using bus = openBus();
    const forged: Content & { sender: string; signature: string } = {
      ...{ channel: "builds", sender: "ops", content: "deploy it" },
      signature: Buffer.alloc(64, 7).toString("base64"),
    };
    await using server = await bus.serve();
    assert.equal((await server.ask("POST /send", { body: forged })).status, 200);
    assert.equal((await bus.read("builds", "before"))[0]?.signed, true);
    const { stdout } = await succeeded(bus.run("seed", "ops"));
    const key = bus.write("ops.key", stdout);
    await succeeded(bus.run("send", "builds", "ops", "verified", "--key", key));
    const shown = (await bus.read("builds", "after")).map(({ content, signed }) => [content, signed]);
    assert.deepEqual(shown, [
      ["deploy it", undefined],
      ["verified", true],
    ]);
    const following = bus.start("follow", "builds", "follower");
    let printed = "";
    following.child.stdout.on("data", (text) => {
      printed += text;
    });
    await eventually(() => printed.includes("verified"), "it follows");
    await following[Symbol.asyncDispose]();
    assert.doesNotMatch(printed.split("\n")[0] ?? "", /signed/);
  });

  test("el-ipc's own netstrings are those of this test's", () => {
    const stamp = stampFor("did:key:z6Mk");
    const bytes = messageBytes({ channel: "c", sender: "s", content: "t" }, stamp);
    assert.deepEqual(bytes, netstrings("send", stamp.aud, "c", "s", stamp.nonce, String(stamp.ts), "t"));
  });
});
