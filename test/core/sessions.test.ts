import assert from "node:assert/strict";
import { test } from "node:test";
import { THIS_PROCESS } from "../../src/core/access.ts";
import { waitForCommand } from "../../src/core/commands.ts";
import {
  getPresence,
  heartbeat,
  isAlive,
  leave,
  openSession,
  setRole,
  startListening,
  stopListening,
} from "../../src/core/sessions.ts";
import { callerWith, connect, issue, never, openSecureTestBus, openTestBus, refusal, take } from "./bus.ts";

const DAY = 86_400;

test("an id begins with the role's first letters, as characters that need no escaping in a URL", async () => {
  await using open = await openTestBus();
  const letters = {
    "a/b": "axb",
    "ab🦜": "abx",
    "🦜🦜🦜🦜": "xxx",
    "%2F": "x2F",
    "?&#": "xxx",
    x: "x",
    "QA lead": "QAx",
  };
  for (const [role, start] of Object.entries(letters)) {
    assert.match(await connect(open.bus, role), new RegExp(`^${start}-[0-9a-f]{6}$`));
  }
});

test("the names for everybody can't be a role", async () => {
  await using open = await openTestBus();
  const { bus } = open;
  const id = await connect(bus, "backend");
  for (const role of ["*", "all"]) {
    const sentence = `invalid: ${role} means everybody, and is nobody's role`;
    assert.equal(await refusal(connect(bus, role)), sentence);
    assert.equal(await refusal(setRole(bus, id, role, THIS_PROCESS)), sentence);
  }
});

test("B27 there is one orchestrator at a time, and the refusal names it", async () => {
  await using open = await openTestBus();
  const { bus } = open;
  const [first, other] = [await connect(bus, "orchestrator"), await connect(bus, "backend")];
  const taken = new RegExp(`^conflict: .* orchestrator.*: ${first}, seen 0 s ago$`);
  assert.match(await refusal(connect(bus, "orchestrator")), taken);
  assert.match(await refusal(setRole(bus, other, "orchestrator", THIS_PROCESS)), taken);
  await leave(bus, first, THIS_PROCESS);
  assert.equal((await setRole(bus, other, "orchestrator", THIS_PROCESS)).role, "orchestrator");
});

test("an orchestrator that is gone is replaced, and there are never two", async () => {
  await using open = await openTestBus();
  const { bus, pass } = open;
  const first = await connect(bus, "orchestrator");
  pass(89);
  assert.match(await refusal(connect(bus, "orchestrator")), /^conflict: /);
  pass(2);
  const second = await connect(bus, "orchestrator");
  assert.match(await refusal(heartbeat(bus, first, THIS_PROCESS)), /^not_found: .*connect first$/);
  assert.deepEqual(
    (await bus.store.sessions.list()).map(({ id }) => id),
    [second],
  );
});

test("a session not seen for 90 s is gone, and a heartbeat brings it back", async () => {
  await using open = await openTestBus();
  const { bus, pass } = open;
  const id = await connect(bus, "backend");
  const alive = async () => isAlive((await bus.store.sessions.find(id)) ?? assert.fail(), bus.now());
  pass(89);
  assert.equal(await alive(), true);
  pass(1);
  assert.equal(await alive(), false);
  assert.equal((await heartbeat(bus, id, THIS_PROCESS)).lastSeen, bus.now());
  assert.equal(await alive(), true);
});

test("a waiting session that changes its role gets that role's commands at once", async () => {
  await using open = await openTestBus();
  const { bus } = open;
  const [tester, id] = [await connect(bus, "tester"), await connect(bus, "backend")];
  const [sent] = await issue(bus, "tester", { any: true });
  const waiting = waitForCommand(bus, { sessionId: id, seconds: 60 }, THIS_PROCESS, never);
  await setRole(bus, id, "tester", THIS_PROCESS);
  assert.equal((await waiting)?.id, sent);
  assert.equal(await take(bus, tester), undefined);
});

test("a session that leaves ends its own wait with an error", async () => {
  await using open = await openTestBus();
  const { bus } = open;
  const id = await connect(bus, "backend");
  const waiting = refusal(waitForCommand(bus, { sessionId: id, seconds: 60 }, THIS_PROCESS, never));
  await leave(bus, id, THIS_PROCESS);
  assert.match(await waiting, new RegExp(`^not_found: .* ${id}: connect first$`));
});

test("sessions gone for a week are removed when others connect", async () => {
  await using open = await openTestBus();
  const { bus, pass } = open;
  const old = await connect(bus, "backend");
  const [sent = ""] = await issue(bus, old);
  pass(6.9 * DAY);
  const week = await connect(bus, "backend");
  pass(0.2 * DAY);
  const late = await connect(bus, "tester");
  assert.deepEqual(
    (await bus.store.sessions.list()).map(({ id }) => id),
    [week, late],
  );
  assert.equal((await bus.store.commands.find(sent))?.status, "dead");
});

test("in secure mode a session belongs to its token's agent, and operators speak for all", async () => {
  await using secure = await openSecureTestBus();
  const { bus } = secure;
  const { id, agent } = await openSession(bus, { role: "backend", capabilities: [] }, callerWith("herald"));
  assert.equal(agent, "herald");
  const acts = [
    (caller: Parameters<typeof leave>[2]) => heartbeat(bus, id, caller),
    (caller: Parameters<typeof leave>[2]) => setRole(bus, id, "tester", caller),
    (caller: Parameters<typeof leave>[2]) => take(bus, id, caller),
  ];
  for (const act of acts) {
    for (const stranger of [callerWith(), callerWith("scout")]) {
      assert.match(await refusal(act(stranger)), /^unauthorized: not allowed: .* is another agent's$/);
    }
    for (const owner of [callerWith("herald"), callerWith("ops", true), THIS_PROCESS]) await act(owner);
  }
  assert.match(await refusal(leave(bus, id, callerWith("scout"))), /^unauthorized: /);
  await leave(bus, id, callerWith("herald"));
});

test("in secure mode no token speaks for a session opened without one", async () => {
  await using secure = await openSecureTestBus();
  const { bus } = secure;
  const id = await connect(bus, "backend");
  const sentence = /^unauthorized: not allowed: .* was connected without a token: connect again$/;
  assert.match(await refusal(heartbeat(bus, id, callerWith("herald"))), sentence);
});

test("a listening agent is online, takes no commands, and is offline once it stops", async () => {
  await using open = await openTestBus();
  const { bus } = open;
  assert.deepEqual(await getPresence(bus, "ada"), { online: false, lastSeen: undefined });
  const { id } = await startListening(bus, "ada", callerWith());
  assert.deepEqual(await getPresence(bus, "ada"), { online: true, lastSeen: bus.now() });
  assert.match(await refusal(issue(bus, "*")), /^not_found: Nobody else is connected$/);
  await stopListening(bus, id);
  assert.equal((await getPresence(bus, "ada")).online, false);
});

test("in secure mode an agent listens with its own token", async () => {
  await using secure = await openSecureTestBus();
  const { bus } = secure;
  for (const [caller, why] of [
    [callerWith(), /connecting as herald needs its token$/],
    [callerWith("scout"), /this token is for scout$/],
  ] as const) {
    assert.match(await refusal(startListening(bus, "herald", caller)), why);
  }
  assert.equal((await startListening(bus, "herald", callerWith("herald"))).agent, "herald");
});
