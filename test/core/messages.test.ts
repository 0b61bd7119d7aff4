import assert from "node:assert/strict";
import { test } from "node:test";
import { THIS_PROCESS } from "../../src/core/access.ts";
import { revoke, seed } from "../../src/core/agents.ts";
import { acknowledge, follow, type Message, read, send } from "../../src/core/messages.ts";
import { createIdentity, signRevocation, signV1, signV2, stampFor } from "../support/identity.ts";
import { callerWith, contentsFor, never, openSecureTestBus, openTestBus, refusal, registerAgent, say } from "./bus.ts";

const all = { limit: undefined, others: false, peek: false, wait: false, seconds: undefined, burst: 0 };
const letter = { channel: "room", content: "hello" };

test("E29 each agent reads a channel's messages once, including its own", async () => {
  await using open = await openTestBus();
  const { bus } = open;
  await say(bus, "room", "ada", "one");
  const last = await say(bus, "room", "bob", "two");
  await say(bus, "elsewhere", "bob", "three");
  assert.deepEqual(await contentsFor(bus, "room", "ada"), ["one", "two"]);
  await acknowledge(bus, "room", "ada", last);
  assert.deepEqual(await contentsFor(bus, "room", "ada"), []);
  assert.deepEqual(await contentsFor(bus, "room", "bob"), ["one", "two"], "each has a watermark of its own");
  assert.deepEqual(await contentsFor(bus, "elsewhere", "ada"), ["three"]);
});

test("reading moves no watermark: unacknowledged messages are read again", async () => {
  await using open = await openTestBus();
  const { bus } = open;
  const first = await say(bus, "room", "ada", "one");
  await say(bus, "room", "ada", "two");
  for (let round = 0; round < 2; round++) assert.deepEqual(await contentsFor(bus, "room", "bob"), ["one", "two"]);
  assert.equal(await acknowledge(bus, "room", "bob", first), first);
  assert.deepEqual(await contentsFor(bus, "room", "bob"), ["two"]);
});

test("a watermark never goes back", async () => {
  await using open = await openTestBus();
  const { bus } = open;
  const [first, last] = [await say(bus, "room", "ada", "one"), await say(bus, "room", "ada", "two")];
  await acknowledge(bus, "room", "bob", last);
  assert.equal(await acknowledge(bus, "room", "bob", first), last);
  assert.deepEqual(await contentsFor(bus, "room", "bob"), []);
});

test("a limit takes the oldest, and an agent's own messages can be left out", async () => {
  await using open = await openTestBus();
  const { bus } = open;
  for (const [sender, content] of [
    ["ada", "one"],
    ["bob", "two"],
    ["ada", "three"],
  ] as const) {
    await say(bus, "room", sender, content);
  }
  assert.deepEqual(await contentsFor(bus, "room", "bob", { limit: 2 }), ["one", "two"]);
  assert.deepEqual(await contentsFor(bus, "room", "bob", { others: true }), ["one", "three"]);
});

test("skipped own messages are consumed, except by a peek", async () => {
  await using open = await openTestBus();
  const { bus } = open;
  const id = await say(bus, "room", "bob", "mine");
  assert.deepEqual(await contentsFor(bus, "room", "bob", { others: true, peek: true }), []);
  assert.equal(await bus.store.messages.watermark("room", "bob"), 0);
  assert.deepEqual(await contentsFor(bus, "room", "bob", { others: true }), []);
  assert.equal(await bus.store.messages.watermark("room", "bob"), id);
});

test("a follower gets the unread messages, then the new ones, and moves no watermark", async () => {
  await using open = await openTestBus();
  const { bus } = open;
  await say(bus, "room", "ada", "one");
  const stop = new AbortController();
  const following = follow(bus, { channel: "room", agent: "bob", others: false, since: undefined }, stop.signal);
  const next = async () => (await following.next()).value?.content;
  assert.equal(await next(), "one");
  const second = next();
  await say(bus, "room", "ada", "two");
  assert.equal(await second, "two");
  stop.abort();
  assert.equal((await following.next()).done, true);
  assert.deepEqual(await contentsFor(bus, "room", "bob"), ["one", "two"]);
});

test("only the bus writes to the channel security, in either mode", async () => {
  await using open = await openTestBus();
  await using secure = await openSecureTestBus();
  const sentence = "unauthorized: only the bus itself writes to security";
  const forged = { channel: "security", sender: "ops", content: "all is well", signature: undefined };
  assert.equal(await refusal(send(open.bus, forged, THIS_PROCESS)), sentence);
  const signed = signV2(secure.ops, { channel: "security", content: "all is well" }, stampFor(secure.did));
  assert.equal(await refusal(send(secure.bus, signed, THIS_PROCESS)), sentence);
});

test("in open mode any well-formed signature is stored unchecked", async () => {
  await using open = await openTestBus();
  const { bus } = open;
  await send(bus, signV1(createIdentity("ada"), letter), THIS_PROCESS);
  const wrong = { ...letter, sender: "ada", signature: "junk" };
  assert.equal(await refusal(send(bus, wrong, THIS_PROCESS)), "invalid: signature must be 64 bytes in base64");
  const [message] = await read(bus, { ...all, channel: "room", agent: "bob" }, never);
  assert.equal(message?.signed, true);
});

test("E21 in secure mode only the sender's own key signs for it", async () => {
  await using secure = await openSecureTestBus();
  const { bus, herald, scout, did } = secure;
  const forged = { ...signV2(scout, letter, stampFor(did)), sender: "herald" };
  assert.equal(await refusal(send(bus, forged, THIS_PROCESS)), "unauthorized: invalid signature");
  const stranger = signV2(createIdentity("nobody"), letter, stampFor(did));
  assert.equal(await refusal(send(bus, stranger, THIS_PROCESS)), "unauthorized: unknown sender: nobody");
  const bare = { ...letter, sender: "herald", signature: undefined };
  assert.match(await refusal(send(bus, bare, THIS_PROCESS)), /^unauthorized: signature required/);
  await send(bus, signV2(herald, letter, stampFor(did)), THIS_PROCESS);
  const [message, ...more] = await read(bus, { ...all, channel: "room", agent: "bob" }, never);
  assert.deepEqual([message?.sender, message?.signed, more], ["herald", true, []]);
});

test("a sender's token replaces its signature, and the message is attested", async () => {
  await using secure = await openSecureTestBus();
  const { bus } = secure;
  const bare = { ...letter, sender: "herald", signature: undefined };
  await send(bus, bare, callerWith("herald"));
  assert.match(await refusal(send(bus, bare, callerWith("scout"))), /^unauthorized: signature required/);
  const [message]: readonly Message[] = await read(bus, { ...all, channel: "room", agent: "bob" }, never);
  assert.deepEqual([message?.attested, message?.signed], [true, undefined]);
});

test("a repeated v2 request is stored once, and its nonce can't be reused", async () => {
  await using secure = await openSecureTestBus();
  const { bus, herald, did } = secure;
  const stamp = stampFor(did);
  const first = await send(bus, signV2(herald, letter, stamp), THIS_PROCESS);
  assert.deepEqual(await send(bus, signV2(herald, letter, stamp), THIS_PROCESS), { id: first.id, duplicate: true });
  const other = signV2(herald, { ...letter, content: "another" }, stamp);
  assert.equal(await refusal(send(bus, other, THIS_PROCESS)), "conflict: this nonce was used for another message");
  assert.deepEqual(await contentsFor(bus, "room", "bob"), ["hello"]);
});

test("a v2 request for another bus, or with a wrong time, is refused", async () => {
  await using secure = await openSecureTestBus();
  const { bus, herald, did } = secure;
  const elsewhere = signV2(herald, letter, stampFor("did:key:z6MkOther"));
  assert.match(
    await refusal(send(bus, elsewhere, THIS_PROCESS)),
    /^unauthorized: the request is meant for another bus/,
  );
  for (const minutes of [-11, 11]) {
    const stale = signV2(herald, letter, stampFor(did, minutes * 60_000));
    assert.match(await refusal(send(bus, stale, THIS_PROCESS)), /^unauthorized: the request's ts is too far/);
  }
});

test("a v1 signature is accepted, unless the bus or the agent insists on v2", async () => {
  await using secure = await openSecureTestBus();
  await using strict = await openSecureTestBus({ signatures: "v2" });
  const modern = createIdentity("modern");
  await registerAgent(secure.bus, secure.ops, modern, { v2_only: true });
  await send(secure.bus, signV1(secure.herald, letter), THIS_PROCESS);
  const sentence = "unauthorized: a v2 signature is required: with aud, nonce and ts";
  assert.equal(await refusal(send(secure.bus, signV1(modern, letter), THIS_PROCESS)), sentence);
  assert.equal(await refusal(send(strict.bus, signV1(strict.herald, letter), THIS_PROCESS)), sentence);
});

test("a revoked key signs nothing more, and earlier messages stay signed", async () => {
  await using secure = await openSecureTestBus();
  const { bus, ops, herald, did } = secure;
  await send(bus, signV2(herald, letter, stampFor(did)), THIS_PROCESS);
  await revoke(bus, signRevocation(ops, herald, stampFor(did)));
  const late = signV2(herald, letter, stampFor(did));
  assert.equal(await refusal(send(bus, late, THIS_PROCESS)), "unauthorized: the key of herald was revoked");
  const [message] = await read(bus, { ...all, channel: "room", agent: "bob" }, never);
  assert.equal(message?.signed, true);
});

test("a message from before the first operator isn't shown as signed: nobody verified it", async () => {
  await using open = await openTestBus();
  const { bus, pass } = open;
  await send(bus, signV1(createIdentity("ada"), letter), THIS_PROCESS);
  pass(1);
  await seed(bus, "ops", createIdentity("ops").publicPem);
  const [message] = await read(bus, { ...all, channel: "room", agent: "bob" }, never);
  assert.deepEqual([message?.content, message?.signed], ["hello", undefined]);
});
