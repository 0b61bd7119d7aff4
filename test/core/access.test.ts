import assert from "node:assert/strict";
import { suite, test } from "node:test";
import {
  type Access,
  type AccessRequest,
  admit,
  type Caller,
  getRights,
  isSecure,
  THIS_PROCESS,
} from "../../src/core/access.ts";
import { seed } from "../../src/core/agents.ts";
import type { Bus } from "../../src/core/bus.ts";
import { createIdentity } from "../support/identity.ts";
import { callerWith, openSecureTestBus, openTestBus, refusal } from "./bus.ts";

const beyond = (more: Partial<Caller> = {}): Caller => ({ ...callerWith(), from: "beyond", ...more });

const callers: Readonly<Record<string, Caller>> = {
  "this process": THIS_PROCESS,
  "this machine": callerWith(),
  "this machine, herald": callerWith("herald"),
  "this machine, ops": callerWith("ops", true),
  beyond: beyond(),
  "beyond, let in": beyond({ admitted: true }),
  "beyond, with the key": beyond({ admitted: true, hasKey: true }),
  "beyond, herald": { ...callerWith("herald"), from: "beyond" },
  "beyond, ops": { ...callerWith("ops", true), from: "beyond" },
};

const kinds: readonly Access[] = ["anyone", "signed", "reader", "actor", "keeper"];

/** Whether each caller may ask for `anyone`, `signed`, `reader`, `actor` and `keeper`, in that order. */
const tables: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  open: {
    "this process": "+++++",
    "this machine": "+++++",
    "this machine, herald": "+++++",
    "this machine, ops": "+++++",
    beyond: "+----",
    "beyond, let in": "++++-",
    "beyond, with the key": "+++++",
    "beyond, herald": "+----",
    "beyond, ops": "+----",
  },
  secure: {
    "this process": "+++++",
    "this machine": "+++--",
    "this machine, herald": "++++-",
    "this machine, ops": "+++++",
    beyond: "++---",
    "beyond, let in": "++---",
    "beyond, with the key": "++---",
    "beyond, herald": "++++-",
    "beyond, ops": "+++++",
  },
};

async function isAdmitted(bus: Bus, access: Access, caller: Caller, asked: AccessRequest = {}): Promise<boolean> {
  return admit(bus, access, asked, caller).then(
    () => true,
    () => false,
  );
}

for (const [mode, table] of Object.entries(tables)) {
  suite(`access in ${mode} mode`, () => {
    for (const [who, caller] of Object.entries(callers)) {
      test(`of ${who} is ${table[who]}`, async () => {
        await using open = await (mode === "open" ? openTestBus() : openSecureTestBus());
        const { bus } = open;
        const may: ("+" | "-")[] = [];
        for (const access of kinds) may.push((await isAdmitted(bus, access, caller)) ? "+" : "-");
        assert.equal(may.join(""), table[who]);
        assert.deepEqual(
          (await getRights(bus, caller)).may,
          kinds.filter((_, index) => may[index] === "+"),
        );
      });
    }
  });
}

test("secure mode begins with the first operator", async () => {
  await using open = await openTestBus();
  assert.equal(await isSecure(open.bus), false);
  await seed(open.bus, "ops", createIdentity("ops").publicPem);
  assert.equal(await isSecure(open.bus), true);
});

test("an agent reads as itself: neither others' mailboxes nor the alarms, and operators read all", async () => {
  await using secure = await openSecureTestBus();
  const { bus } = secure;
  const requests: readonly [AccessRequest, boolean][] = [
    [{ channel: "room" }, true],
    [{ channel: "room", agent: "herald" }, true],
    [{ channel: "@herald" }, true],
    [{ channel: "room", agent: "scout" }, false],
    [{ channel: "@scout" }, false],
    [{ channel: "security" }, false],
  ];
  for (const [asked, may] of requests) {
    assert.equal(await isAdmitted(bus, "reader", callerWith("herald"), asked), may, JSON.stringify(asked));
    assert.equal(await isAdmitted(bus, "reader", callerWith("ops", true), asked), true);
  }
});

test("on this machine reading needs no token, unless the bus asks for one", async () => {
  await using lax = await openSecureTestBus();
  await using strict = await openSecureTestBus({ readsNeedToken: true });
  assert.equal(await isAdmitted(lax.bus, "reader", callerWith()), true);
  assert.equal(await isAdmitted(strict.bus, "reader", callerWith()), false);
  assert.equal(await isAdmitted(strict.bus, "reader", callerWith("herald")), true);
  assert.equal(await isAdmitted(strict.bus, "reader", THIS_PROCESS), true);
});

test("each refusal says what is missing", async () => {
  await using open = await openTestBus();
  await using secure = await openSecureTestBus();
  const refused: readonly [Bus, Access, Caller, RegExp][] = [
    [open.bus, "reader", beyond(), /comes from beyond this machine: it needs the server's API key/],
    [open.bus, "keeper", beyond({ admitted: true }), /comes from beyond this machine/],
    [secure.bus, "reader", beyond(), /a token/],
    [secure.bus, "actor", callerWith(), /a token, since it can't be signed/],
    [secure.bus, "keeper", callerWith(), /an operator's token/],
    [secure.bus, "keeper", callerWith("herald"), /not allowed: herald is not an operator$/],
  ];
  for (const [bus, access, caller, sentence] of refused) {
    const said = await refusal(admit(bus, access, {}, caller));
    assert.match(said, /^unauthorized: /);
    assert.match(said, sentence);
  }
});
