import assert from "node:assert/strict";
import { test } from "node:test";
import type { Bus } from "../../src/core/bus.ts";
import {
  markArrived,
  readMail,
  releaseMail,
  takeMail,
  waitForMail,
  waitUntilArrived,
} from "../../src/core/mailboxes.ts";
import { acknowledge } from "../../src/core/messages.ts";
import { never, openTestBus, say } from "./bus.ts";

const post = (bus: Bus, mailbox: string, content: string, sender = "ada") => say(bus, `@${mailbox}`, sender, content);

const takeContents = async (bus: Bus, mailbox: string, limit = 100) =>
  (await takeMail(bus, { mailbox, limit })).map(({ content }) => content);

test("mail that was taken is leased for ten seconds, then offered again", async () => {
  await using open = await openTestBus();
  const { bus, pass } = open;
  for (const content of ["one", "two", "three"]) await post(bus, "me", content);
  assert.deepEqual(await takeContents(bus, "me", 2), ["one", "two"]);
  assert.deepEqual(await takeContents(bus, "me"), ["three"]);
  pass(9);
  assert.deepEqual(await takeContents(bus, "me"), []);
  pass(1);
  assert.deepEqual(await takeContents(bus, "me"), ["one", "two", "three"]);
});

test("mail that arrived is consumed, and the watermark moves past everything arrived before it", async () => {
  await using open = await openTestBus();
  const { bus, pass } = open;
  const ids = [await post(bus, "me", "one"), await post(bus, "me", "two"), await post(bus, "me", "three")];
  const [first = 0, second = 0, third = 0] = ids;
  await takeMail(bus, { mailbox: "me", limit: 100 });
  await markArrived(bus, "me", [third]);
  assert.equal(await bus.store.messages.watermark("@me", "me"), 0, "the first hasn't arrived");
  await markArrived(bus, "me", [first]);
  assert.equal(await bus.store.messages.watermark("@me", "me"), first);
  pass(10);
  assert.deepEqual(await takeContents(bus, "me"), ["two"], "what arrived is not offered again");
  await markArrived(bus, "me", [second]);
  assert.equal(await bus.store.messages.watermark("@me", "me"), third);
});

test("lost mail is offered again at once, to a reader that is already waiting", async () => {
  await using open = await openTestBus();
  const { bus } = open;
  const id = await post(bus, "me", "one");
  await takeMail(bus, { mailbox: "me", limit: 1 });
  const waiting = waitForMail(bus, { mailbox: "me", limit: 1, seconds: 30 }, never);
  await releaseMail(bus, "me", [id]);
  assert.deepEqual(
    (await waiting).map((message) => message.id),
    [id],
  );
});

test("each message goes to one of many readers waiting for a mailbox", async () => {
  await using open = await openTestBus();
  const { bus } = open;
  const waits = Array.from({ length: 10 }, () => waitForMail(bus, { mailbox: "me", limit: 1, seconds: 30 }, never));
  const ids = [];
  for (let n = 0; n < 10; n++) ids.push(await post(bus, "me", `${n}`));
  const taken = (await Promise.all(waits)).flat().map(({ id }) => id);
  assert.deepEqual(
    taken.toSorted((a, b) => a - b),
    ids,
  );
});

test("a wait that times out or is aborted takes nothing", async () => {
  await using open = await openTestBus();
  const { bus } = open;
  const stop = new AbortController();
  const waits = [
    waitForMail(bus, { mailbox: "me", limit: 1, seconds: 0.05 }, never),
    waitForMail(bus, { mailbox: "me", limit: 1, seconds: undefined }, stop.signal),
  ];
  stop.abort();
  assert.deepEqual(await Promise.all(waits), [[], []]);
  await post(bus, "me", "one");
  assert.deepEqual(await takeContents(bus, "me"), ["one"]);
});

test("an owner who reads the mailbox as a channel leases its messages, and may skip its own", async () => {
  await using open = await openTestBus();
  const { bus } = open;
  const own = await post(bus, "me", "a note to myself", "me");
  await post(bus, "me", "one");
  const asked = {
    channel: "@me",
    agent: "me",
    limit: undefined,
    peek: false,
    wait: false,
    seconds: undefined,
    burst: 0,
  };
  const mail = await readMail(bus, { ...asked, others: true }, never);
  assert.deepEqual(
    mail.map(({ content }) => content),
    ["one"],
  );
  assert.deepEqual(await takeContents(bus, "me"), [], "it is leased");
  assert.equal(await bus.store.messages.watermark("@me", "me"), own, "its own is consumed");
});

test("a sender can wait until a message and everything before it has arrived", async () => {
  await using open = await openTestBus();
  const { bus } = open;
  const [first, second] = [await post(bus, "me", "one"), await post(bus, "me", "two")];
  const arrived = waitUntilArrived(bus, { mailbox: "me", id: second, seconds: 30 }, never);
  await takeMail(bus, { mailbox: "me", limit: 100 });
  await markArrived(bus, "me", [second]);
  assert.equal(await waitUntilArrived(bus, { mailbox: "me", id: second, seconds: 0 }, never), false);
  await markArrived(bus, "me", [first]);
  assert.equal(await arrived, true);
});

test("mail acknowledged in the mailbox's channel is not handed out again", async () => {
  await using open = await openTestBus();
  const { bus } = open;
  const first = await post(bus, "me", "one");
  await post(bus, "me", "two");
  await acknowledge(bus, "@me", "me", first);
  assert.deepEqual(await takeContents(bus, "me"), ["two"]);
});
