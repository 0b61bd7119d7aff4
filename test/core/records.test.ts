import assert from "node:assert/strict";
import { test } from "node:test";
import { createParser, createReader, recordKinds, shapes } from "../../src/core/records.ts";

const readCommand = createReader(shapes.orders);
const parseCommand = createParser(shapes.orders);

const command = {
  id: "cmd-1",
  kind: "command",
  from: "human",
  fromId: null,
  target: "bac-1",
  targetRole: "builder",
  action: "build",
  params: { deep: [1] },
  createdAt: 1.5,
  leaseSeconds: 60,
  expiresAt: null,
  status: "leased",
  attempts: 1,
  holder: "bac-1",
  leaseUntil: 61.5,
  result: null,
  endedAt: null,
};

test("a record that is whole is read and checked as it is", () => {
  assert.deepEqual(readCommand(command), command);
  assert.deepEqual(parseCommand(command), command);
});

test("a record with members of another program has its own fields alone, in their order", () => {
  const found = readCommand({ extra: 1, ...command });
  assert.deepEqual(Object.keys(found), Object.keys(shapes.orders));
});

test("a stored record that doesn't fit is read as the nearest that does", () => {
  const found = readCommand({ id: 5, kind: "sudo", status: "lost", attempts: "2", createdAt: "soon", from: null });
  const { id, kind, status, attempts, createdAt, from, target, params } = found;
  assert.deepEqual(
    { id, kind, status, attempts, createdAt, from, target, params },
    { id: "5", kind: "command", status: "dead", attempts: 2, createdAt: 0, from: "", target: null, params: null },
  );
  assert.deepEqual(createReader(shapes.peers)({ capabilities: "all" }).capabilities, []);
  assert.equal(createReader(shapes.messages)({ attested: 1 }).attested, true);
});

test("a record from outside that doesn't fit is refused in a sentence", () => {
  assert.throws(() => parseCommand({ ...command, status: "lost" }), /^IpcError: status must be pending or leased or /);
  assert.throws(() => parseCommand({ ...command, holder: "a\nb" }), /holder must not contain control characters/);
  assert.throws(() => parseCommand({ ...command, attempts: Number.NaN }), /attempts must be a number/);
});

test("every kind of record has a shape, and the journal comes last: the others write to it", () => {
  assert.equal(recordKinds.at(-1), "journal");
  for (const kind of recordKinds) assert.ok(Object.keys(shapes[kind]).length > 0, kind);
});
