import assert from "node:assert/strict";
import { test } from "node:test";
import { type Caller, THIS_PROCESS } from "../../src/core/access.ts";
import type { Bus } from "../../src/core/bus.ts";
import { getCommands, offerCommandAgain, releaseCommand, waitForCommand } from "../../src/core/commands.ts";
import { endCommand, waitForCommandEnd } from "../../src/core/outcomes.ts";
import { heartbeat, leave, openSession } from "../../src/core/sessions.ts";
import {
  callerWith,
  connect,
  contentsFor,
  issue,
  never,
  openSecureTestBus,
  openTestBus,
  refusal,
  take,
} from "./bus.ts";

const acked = (result: unknown = null) => ({ status: "acked", result }) as const;
const failed = (result: unknown) => ({ status: "failed", result }) as const;

const end = (bus: Bus, id: string | undefined, how: Parameters<typeof endCommand>[2], caller: Caller = THIS_PROCESS) =>
  endCommand(bus, id ?? "", how, caller);

const statusOf = async (bus: Bus, id: string | undefined) => (await bus.store.commands.find(id ?? ""))?.status;

test("B2 B29 a role gets one command for each of its live sessions, and * one for everybody else", async () => {
  await using open = await openTestBus();
  const { bus, pass } = open;
  await connect(bus, "backend");
  pass(100);
  const [boss, one, two] = [
    await connect(bus, "orchestrator"),
    await connect(bus, "backend"),
    await connect(bus, "backend"),
  ];
  const tester = await connect(bus, "tester");
  const targets = async (from: string, target: string) => {
    const ids = await issue(bus, target, { from });
    return (await bus.store.commands.list({ limit: 100 }))
      .filter(({ id }) => ids.includes(id))
      .map((command) => command.target)
      .toSorted();
  };
  assert.deepEqual(await targets(boss, "backend"), [one, two].toSorted());
  assert.deepEqual(await targets(one, "backend"), [one, two].toSorted(), "its own among them");
  for (const everybody of ["*", "all"]) assert.deepEqual(await targets(boss, everybody), [one, two, tester].toSorted());
  assert.deepEqual(await targets("human", "*"), [boss, one, two, tester].toSorted());
});

test("B29 a command that nobody could take is refused with the names of those who are gone", async () => {
  await using open = await openTestBus();
  const { bus, pass } = open;
  assert.match(await refusal(issue(bus, "backend")), /^not_found: There is no .* and no role backend$/);
  assert.equal(await refusal(issue(bus, "*")), "not_found: Nobody else is connected");
  const id = await connect(bus, "backend");
  assert.equal(await refusal(issue(bus, "*", { from: id })), "not_found: Nobody else is connected");
  for (const target of [id, "*"]) {
    assert.match(await refusal(issue(bus, target, { any: true })), /^invalid: any is for a role: /);
  }
  pass(100);
  assert.match(await refusal(issue(bus, "backend")), new RegExp(`^not_found: .* gone: ${id}$`));
  assert.equal(await refusal(issue(bus, "*")), `not_found: Everybody else is gone: ${id}`);
  assert.deepEqual(await getCommands(bus, { limit: 100 }), []);
});

test("a session gets its commands in the order sent, each once", async () => {
  await using open = await openTestBus();
  const { bus } = open;
  const id = await connect(bus, "backend");
  const sent = [];
  for (let n = 0; n < 20; n++) sent.push(...(await issue(bus, n % 2 === 0 ? id : "backend")));
  const came = [];
  for (let n = 0; n < 20; n++) came.push((await take(bus, id))?.id);
  assert.deepEqual(came, sent);
  assert.equal(await take(bus, id), undefined);
});

test("a command nobody ended is offered again when its lease ends, not before", async () => {
  await using open = await openTestBus();
  const { bus, pass } = open;
  const id = await connect(bus, "backend");
  const [sent] = await issue(bus, id, { leaseSeconds: 10 });
  for (let attempt = 1; attempt <= 3; attempt++) {
    const command = await take(bus, id);
    assert.deepEqual([command?.id, command?.attempts, command?.leaseUntil], [sent, attempt, bus.now() + 10]);
    pass(9);
    assert.equal(await take(bus, id), undefined);
    pass(1);
  }
});

test("a lease's end wakes a session that waits already", async () => {
  await using open = await openTestBus();
  const { bus, pass } = open;
  const id = await connect(bus, "backend");
  const [sent] = await issue(bus, id, { leaseSeconds: 0.2 });
  await take(bus, id);
  const waiting = waitForCommand(bus, { sessionId: id, seconds: 30 }, THIS_PROCESS, never);
  pass(0.2);
  assert.equal((await waiting)?.id, sent);
});

test("waiting for the next command renews no lease, and a heartbeat does", async () => {
  await using open = await openTestBus();
  const { bus, pass } = open;
  const id = await connect(bus, "backend");
  const [sent] = await issue(bus, id);
  await take(bus, id);
  for (let round = 0; round < 2; round++) {
    pass(50);
    await heartbeat(bus, id, THIS_PROCESS);
  }
  assert.equal(await take(bus, id), undefined);
  pass(59);
  assert.equal(await take(bus, id), undefined, "it waited 1 s before the end");
  pass(1);
  assert.equal((await take(bus, id))?.id, sent);
});

test("a released command is offered again at once, and the failed attempt isn't counted", async () => {
  await using open = await openTestBus();
  const { bus } = open;
  const id = await connect(bus, "backend");
  const [sent = ""] = await issue(bus, id);
  await take(bus, id);
  await releaseCommand(bus, sent, id);
  const again = await take(bus, id);
  assert.deepEqual([again?.id, again?.attempts], [sent, 1]);
});

test("an aborted wait keeps no command", async () => {
  await using open = await openTestBus();
  const { bus } = open;
  const id = await connect(bus, "backend");
  const stop = new AbortController();
  const waiting = waitForCommand(bus, { sessionId: id, seconds: 60 }, THIS_PROCESS, stop.signal);
  stop.abort();
  assert.equal(await waiting, undefined);
  const [sent] = await issue(bus, id);
  const next = await take(bus, id);
  assert.deepEqual([next?.id, next?.attempts], [sent, 1]);
});

test("any: one session of the role gets the command, and another when its lease ends", async () => {
  await using open = await openTestBus();
  const { bus, pass } = open;
  const [one, two] = [await connect(bus, "tester"), await connect(bus, "tester")];
  const sent = await issue(bus, "tester", { any: true });
  assert.equal(sent.length, 1);
  assert.equal((await take(bus, one))?.id, sent[0]);
  assert.equal(await take(bus, two), undefined);
  pass(61);
  const second = await take(bus, two);
  assert.deepEqual([second?.id, second?.holder], [sent[0], two]);
});

test("any: a command waits until a session of its role connects", async () => {
  await using open = await openTestBus();
  const { bus, pass } = open;
  await connect(bus, "tester");
  pass(100);
  const [sent] = await issue(bus, "tester", { any: true });
  const late = await connect(bus, "tester");
  assert.equal((await take(bus, late))?.id, sent);
});

test("when a holder leaves, another of its role gets the command; one for the leaver alone is dead", async () => {
  await using open = await openTestBus();
  const { bus } = open;
  const boss = await connect(bus, "orchestrator");
  const [one, two] = [await connect(bus, "tester"), await connect(bus, "tester")];
  const [any] = await issue(bus, "tester", { any: true, from: boss });
  assert.equal((await take(bus, one))?.id, any);
  const [own = ""] = await issue(bus, one, { from: boss });
  const waiting = waitForCommand(bus, { sessionId: two, seconds: 60 }, THIS_PROCESS, never);
  const ended = waitForCommandEnd(bus, { id: own, seconds: 60 }, never);
  await leave(bus, one, THIS_PROCESS);
  assert.equal((await waiting)?.id, any);
  assert.equal((await ended).status, "dead");
  const answer = Object((await take(bus, boss))?.params);
  assert.deepEqual([answer.command_id, answer.status], [own, "dead"]);
  const sentence = `not_found: Nobody can take the command ${own} any more: ${one} has left`;
  assert.equal(await refusal(offerCommandAgain(bus, own, THIS_PROCESS)), sentence);
});

test("expires: a command not taken in time expires, and its sender is told", async () => {
  await using open = await openTestBus();
  const { bus, pass } = open;
  const [boss, worker] = [await connect(bus, "orchestrator"), await connect(bus, "backend")];
  const [sent = ""] = await issue(bus, worker, { from: boss, expiresIn: 0.2 });
  const ended = waitForCommandEnd(bus, { id: sent, seconds: 60 }, never);
  pass(1);
  assert.equal((await ended).status, "expired");
  assert.equal(await take(bus, worker), undefined);
  assert.equal(Object((await take(bus, boss))?.params).status, "expired");
});

test("expires: a command taken in time may be ended later", async () => {
  await using open = await openTestBus();
  const { bus, pass } = open;
  const id = await connect(bus, "backend");
  const [sent] = await issue(bus, id, { expiresIn: 30 });
  await take(bus, id);
  pass(40);
  assert.equal((await end(bus, sent, acked(1))).status, "acked");
});

test("a command handed out five times without an end is dead, and can be retried", async () => {
  await using open = await openTestBus();
  const { bus, pass } = open;
  const [boss, worker] = [await connect(bus, "orchestrator"), await connect(bus, "backend")];
  const [sent = ""] = await issue(bus, worker, { from: boss });
  for (let n = 1; n <= 5; n++) {
    assert.equal((await take(bus, worker))?.attempts, n);
    pass(61);
  }
  assert.equal(await take(bus, worker), undefined);
  const [dead] = await getCommands(bus, { status: "dead", limit: 100 });
  assert.deepEqual([dead?.id, dead?.attempts, dead?.holder], [sent, 5, worker]);
  assert.equal(Object((await take(bus, boss))?.params).status, "dead");
  const again = await offerCommandAgain(bus, sent, THIS_PROCESS);
  assert.deepEqual([again.status, again.attempts], ["pending", 0]);
  assert.equal((await take(bus, worker))?.attempts, 1);
  const sentence = `conflict: The command ${sent} is on its way, or was acknowledged`;
  assert.equal(await refusal(offerCommandAgain(bus, sent, THIS_PROCESS)), sentence);
  await end(bus, sent, acked());
  assert.equal(await refusal(offerCommandAgain(bus, sent, THIS_PROCESS)), sentence);
});

test("B32 a command ends once: the same end again changes nothing, and another is refused", async () => {
  await using open = await openTestBus();
  const { bus } = open;
  const id = await connect(bus, "backend");
  const [sent] = await issue(bus, id);
  const done = await end(bus, sent, acked({ pid: 1, ports: [7400] }));
  assert.deepEqual([done.status, done.result, done.endedAt], ["acked", { pid: 1, ports: [7400] }, bus.now()]);
  assert.deepEqual(await end(bus, sent, acked({ ports: [7400], pid: 1 })), done, "whatever the order of its fields");
  for (const other of [acked({ pid: 2 }), acked(), failed({ pid: 1, ports: [7400] })]) {
    assert.match(await refusal(end(bus, sent, other)), /^conflict: The command \S+ has/);
  }
  assert.equal(await refusal(end(bus, "cmd-none", acked())), "not_found: There is no command cmd-none");
});

test("B2 B32 the sender of a command gets a response, a signal and an entry in activity when it ends", async () => {
  await using open = await openTestBus();
  const { bus } = open;
  const [boss, worker] = [await connect(bus, "orchestrator"), await connect(bus, "backend")];
  const [sent] = await issue(bus, worker, { from: boss, action: "start_server" });
  await end(bus, sent, acked({ pid: 1 }));
  const told = { command_id: sent, action: "start_server", status: "acked", result: { pid: 1 }, by: worker };
  const answer = await take(bus, boss);
  assert.deepEqual([answer?.kind, answer?.from, answer?.params], ["command_response", "backend", told]);
  assert.deepEqual((await bus.store.signals.get("start_server_done"))?.data, told);
  const [entry = ""] = await contentsFor(bus, "activity", "watcher");
  assert.deepEqual(JSON.parse(entry), { type: "command_acked", ...told });
});

test("a failed command is reported as failed, not as done", async () => {
  await using open = await openTestBus();
  const { bus } = open;
  const [boss, worker] = [await connect(bus, "orchestrator"), await connect(bus, "backend")];
  const [sent] = await issue(bus, worker, { from: boss, action: "deploy" });
  await end(bus, sent, failed({ error: "no space" }));
  assert.equal(await bus.store.signals.get("deploy_done"), undefined);
  assert.equal(Object((await bus.store.signals.get("deploy_failed"))?.data).status, "failed");
  assert.equal(Object((await take(bus, boss))?.params).status, "failed");
  const [entry = ""] = await contentsFor(bus, "activity", "watcher");
  assert.equal(JSON.parse(entry).type, "command_failed");
});

test("ending a response sets no signal and reports no activity", async () => {
  await using open = await openTestBus();
  const { bus, pass } = open;
  const [boss, worker] = [await connect(bus, "orchestrator"), await connect(bus, "backend")];
  const [sent] = await issue(bus, worker, { from: boss });
  await end(bus, sent, acked());
  const signals = await bus.store.signals.list();
  const response = await take(bus, boss);
  await end(bus, response?.id, acked());
  pass(1_000);
  assert.equal(await take(bus, boss), undefined);
  assert.deepEqual(await bus.store.signals.list(), signals);
  assert.equal((await contentsFor(bus, "activity", "watcher")).length, 1);
});

test("in secure mode only its holder, or a session that could take it, ends a command", async () => {
  await using secure = await openSecureTestBus();
  const { bus } = secure;
  const [herald, scout] = [callerWith("herald"), callerWith("scout")];
  const session = async (role: string, caller: Caller) =>
    (await openSession(bus, { role, capabilities: [] }, caller)).id;
  const [one, other] = [await session("tester", herald), await session("backend", scout)];
  const [free] = await issue(bus, "tester", { any: true });
  const [own] = await issue(bus, one);
  for (const id of [free, own]) {
    assert.equal(
      await refusal(end(bus, id, acked(), scout)),
      `unauthorized: not allowed: the command ${id} is another agent's`,
    );
  }
  await end(bus, free, acked(), herald);
  await end(bus, own, acked(), callerWith("ops", true));
  const [late] = await issue(bus, other);
  assert.match(await refusal(end(bus, late, acked(), herald)), /^unauthorized: /);
  await end(bus, late, acked(), scout);
});

test("in secure mode only its sender sends a command as its session, or retries it", async () => {
  await using secure = await openSecureTestBus();
  const { bus } = secure;
  const [herald, scout] = [callerWith("herald"), callerWith("scout")];
  const { id: boss } = await openSession(bus, { role: "boss", capabilities: [] }, herald);
  const worker = await connect(bus, "backend");
  assert.match(await refusal(issue(bus, worker, { from: boss }, scout)), /^unauthorized: .* is another agent's$/);
  const [sent = ""] = await issue(bus, worker, { from: boss }, herald);
  await end(bus, sent, failed("red"));
  assert.match(await refusal(offerCommandAgain(bus, sent, scout)), /^unauthorized: /);
  await offerCommandAgain(bus, sent, herald);
  assert.equal(await statusOf(bus, sent), "pending");
});
