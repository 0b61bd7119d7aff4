import assert from "node:assert/strict";
import { after, suite, test } from "node:test";
import { objectsIn } from "../support/http.ts";
import {
  createIdentity,
  signatureOf,
  signRegistration,
  signV1,
  signV2,
  stampFor,
  tokenOf,
} from "../support/identity.ts";
import { openBus, secureBus, succeeded } from "../support/secure-bus.ts";

const bus = await secureBus();
const server = await bus.serve();
const open = openBus();
const openServer = await open.serve();
after(async () => {
  for (const one of [server, openServer]) await one[Symbol.asyncDispose]();
  for (const one of [bus, open]) one[Symbol.dispose]();
});

const { herald, scout, ops, did } = bus;
const said = { channel: "builds", content: "main is green" };

async function refuses(
  body: object,
  status: number,
  sentence: RegExp,
  at = server,
  what = "POST /send",
): Promise<void> {
  const { status: given, json } = await at.ask(what, { body });
  assert.match(String(json.error), sentence, JSON.stringify(body).slice(0, 300));
  assert.equal(given, status);
}

const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

/** The same signature with another number in its second half that is the same to who doesn't look closely. */
function malleated(signature: string, times: bigint): string {
  const bytes = Buffer.from(signature, "base64");
  const s = BigInt(`0x${Buffer.from(bytes.subarray(32)).reverse().toString("hex")}`) + times * ORDER;
  const half = Buffer.from(s.toString(16).padStart(64, "0"), "hex").reverse();
  return Buffer.concat([bytes.subarray(0, 32), half]).toString("base64");
}

suite("almost valid signatures", { concurrency: 4 }, () => {
  test("a malleated signature is refused: s + L, v1 and v2, and as an operator's", async () => {
    const v1 = signV1(herald, said);
    const v2 = signV2(herald, said, stampFor(did));
    const registration = signRegistration(ops, createIdentity("runner"), stampFor(did));
    for (const times of [1n, 2n, 7n]) {
      for (const body of [v1, v2]) {
        await refuses({ ...body, signature: malleated(body.signature, times) }, 403, /^invalid signature$/);
      }
      const operator_signature = malleated(registration.operator_signature, times);
      await refuses({ ...registration, operator_signature }, 403, /verification failed/, server, "POST /register");
    }
    assert.equal(malleated(v1.signature, 0n), v1.signature);
    assert.equal((await server.ask("POST /send", { body: v1 })).status, 200);
  });

  test("D4 junk in a signature's base64 is refused, in secure mode and in open mode", async () => {
    const body = signV1(herald, said);
    const { signature } = body;
    const raw = Buffer.from(signature, "base64");
    const looks = [
      `${signature}=`,
      signature.slice(0, -1),
      signature.slice(0, -2),
      `${signature.slice(0, 10)}!${signature.slice(10)}`,
      `${signature.slice(0, 40)}\n${signature.slice(40)}`,
      ` ${signature}`,
      `${signature} `,
      `${signature}AAAA`,
      `${signature.slice(0, -3)}${String.fromCharCode(signature.charCodeAt(signature.length - 3) + 1)}==`,
      raw.toString("base64url"),
      raw.toString("hex"),
      raw.subarray(0, 63).toString("base64"),
      Buffer.concat([raw, Buffer.from([0])]).toString("base64"),
      Buffer.concat([raw, raw]).toString("base64"),
      "\u{1F511}".repeat(22),
      "=".repeat(88),
    ];
    for (const look of looks) {
      await refuses({ ...body, signature: look }, 403, /^invalid signature$/);
      await refuses({ ...body, signature: look }, 400, /^signature must be 64 bytes in base64$/, openServer);
    }
    await refuses({ ...body, signature: [signature] }, 400, /^signature must be text$/);
    await refuses({ ...body, signature: "" }, 403, /^signature required/);
    await refuses({ ...body, signature: null }, 403, /^signature required/);
  });

  test("a key of small order that another program stored proves nothing", async () => {
    const identityPoint = Buffer.concat([Buffer.from([1]), Buffer.alloc(31)]);
    const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), identityPoint]);
    const pem = `-----BEGIN PUBLIC KEY-----\n${der.toString("base64")}\n-----END PUBLIC KEY-----\n`;
    const insert =
      "INSERT INTO agents (name, identity, public_key, role, registered_by, created_at) VALUES (?, '', ?, 'agent', 'ops', 1)";
    bus.sql(insert, "weak", pem);
    const signature = Buffer.concat([identityPoint, Buffer.alloc(32)]).toString("base64");
    await refuses({ ...said, sender: "weak", signature }, 403, /^invalid signature$/);
  });
});

suite("a signature used for something else", { concurrency: 4 }, () => {
  test("D3 a signed message can't be split anew into another channel, sender and content", async () => {
    const { signature } = signV1(herald, { channel: "builds", content: "scout\nherald\nmain is green" });
    const splits = [
      { channel: "builds\nherald", sender: "scout", content: "herald\nmain is green" },
      { channel: "builds\nherald\nscout", sender: "herald", content: "main is green" },
      { channel: "builds", sender: "herald\nscout", content: "herald\nmain is green" },
    ];
    for (const body of splits) {
      await refuses({ ...body, signature }, 400, /^(channel|sender) must not contain control characters$/);
      await refuses({ ...body, signature }, 400, /must not contain control characters$/, openServer);
      const { code, stderr } = await bus.run(
        "send",
        body.channel,
        body.sender,
        body.content,
        "--key",
        bus.keyOf(herald),
      );
      assert.match(stderr, /must not contain control characters/);
      assert.equal(code, 1);
    }
    await refuses({ channel: "builds", sender: "scout", content: "herald\nmain is green", signature }, 403, /invalid/);
  });

  test("a message is neither a registration nor a token, nor the other way round", async () => {
    const runner = createIdentity("runner");
    const stamp = stampFor(did);
    const fields = ["", runner.publicPem, "agent", "ops", stamp.nonce, String(stamp.ts)].join("\n");
    const v1 = signV1(ops, { channel: "register", content: fields });
    const original = signatureOf(ops, `register\nrunner\n\n${runner.publicPem}`);
    const right = signRegistration(ops, runner, stamp);
    for (const operator_signature of [v1.signature, original]) {
      await refuses({ ...right, operator_signature }, 403, /verification failed/, server, "POST /register");
    }
    const [head = "", claims = "", signed = ""] = tokenOf(herald, did).split(".");
    const signature = Buffer.from(signed, "base64url").toString("base64");
    await refuses({ channel: head, sender: "herald", content: claims, signature }, 403, /^invalid signature$/);
    const bearer = `${head}.${claims}.${Buffer.from(signV1(herald, said).signature, "base64").toString("base64url")}`;
    assert.equal((await server.ask("GET /channels", { bearer })).status, 403);
  });

  test("a signature fits one agent and one channel", async () => {
    const right = signV1(herald, said);
    for (const changed of [
      { sender: "scout" },
      { channel: "deploys" },
      { content: "main is red" },
      { sender: "ops" },
    ]) {
      await refuses({ ...right, ...changed }, 403, /^invalid signature$/);
    }
    await refuses({ ...right, sender: "Herald" }, 403, /^unknown sender: Herald$/);
    await refuses({ ...right, sender: "herald " }, 403, /^unknown sender: herald $/);
  });

  test("under IPC_SIG_POLICY=v2 a captured message can't be replayed, as a v1 one could", async () => {
    await using strict = await bus.serve({ IPC_SIG_POLICY: "v2" });
    const body = signV1(herald, { ...said, channel: "kept" });
    assert.equal((await server.ask("POST /send", { body })).status, 200);
    await refuses(body, 403, /^a v2 signature is required/, strict);
  });

  test("unknown fields of a request count for nothing", async () => {
    const runner = createIdentity("runner-2");
    const body = {
      ...signRegistration(ops, runner, stampFor(did)),
      role: "operator",
      registered_by: null,
      created_at: 0,
    };
    assert.equal((await server.ask("POST /register", { body })).status, 200);
    const listed = objectsIn((await server.ask("GET /agents")).text).find(({ name }) => name === "runner-2");
    assert.deepEqual([listed?.role, listed?.registered_by], ["agent", "ops"]);
    const claims = { attested: true, signed: true, id: 1, timestamp: 0, v2Only: false };
    await refuses({ ...said, sender: "herald", ...claims }, 403, /^signature required/);
    const sent = await server.ask("POST /send?sender=scout&channel=other", {
      body: { ...signV1(herald, { ...said, channel: "claims" }), ...claims },
    });
    assert.equal(sent.status, 200);
    const [message] = await bus.read("claims", "reader");
    assert.deepEqual([message?.sender, message?.attested, message?.id], ["herald", undefined, sent.json.id]);
    assert.ok(Number(message?.timestamp) > 1);
  });
});

suite("names that look alike", { concurrency: 4 }, () => {
  test("control characters are refused in every name, and so is what isn't Unicode or is too long", async () => {
    const wrong: readonly [string, RegExp][] = [
      ...["\n", "\r", "\0", "\t", "\u001b[2J", "\u007f", "\b"].map((one): [string, RegExp] => [
        `her${one}ald`,
        /control characters$/,
      ]),
      ["herald\ud800", /must be valid Unicode$/],
      ["h".repeat(201), /must be 200 characters at most$/],
    ];
    const runner = createIdentity("runner");
    for (const [name, sentence] of wrong) {
      await refuses({ ...said, sender: name }, 400, sentence, openServer);
      await refuses({ ...said, sender: "a", channel: name }, 400, sentence, openServer);
      await refuses({ channel: "c", agent: name, id: 0 }, 400, sentence, openServer, "POST /ack");
      const registration = signRegistration(ops, { ...runner, name }, stampFor(did));
      await refuses(registration, 400, sentence, server, "POST /register");
      if (name.length < 201) {
        const identity = signRegistration(ops, runner, stampFor(did), { identity: name });
        await refuses(identity, 400, sentence, server, "POST /register");
      }
    }
  });

  test("names that only look alike are different names, and the command line shows how", async () => {
    const names = [
      "herald\u202e",
      "her\u2066ald",
      "\u200fherald",
      "herald\u0085",
      "h\u00e9rald",
      "he\u0301rald",
      "\uff48erald",
    ];
    for (const name of names) {
      const agent = createIdentity(name);
      const body = signRegistration(ops, agent, stampFor(did), { identity: "\u202egnihtyna" });
      assert.equal((await server.ask("POST /register", { body })).status, 200);
      await refuses({ ...said, sender: name, signature: signV1(herald, said).signature }, 403, /^invalid signature$/);
      const sent = signV2(agent, { ...said, channel: "looks" }, stampFor(did));
      assert.equal((await server.ask("POST /send", { body: sent })).status, 200);
    }
    for (const words of [["agents"], ["agents", "--json"], ["read", "looks", "reader", "--peek"]]) {
      const { stdout } = await succeeded(bus.run(...words));
      assert.doesNotMatch(stdout, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/);
      assert.ok(stdout.includes("herald\\u202e"), words.join(" "));
    }
    const refused = await bus.run("send", "c", "nobody\u202e", "x", "--key", bus.keyOf(scout));
    assert.equal(refused.stderr, "Error: unknown sender: nobody\\u202e\n");
    const kept = (await bus.read("looks", "other")).map(({ sender }) => sender);
    assert.deepEqual(kept, names);
  });
});
