import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { Doing, Event, History, Left } from "../events.ts";
import { violations } from "./violations.ts";

/** A log with a line a step: who did what. Time goes by one with each. */
type Step = readonly [who: string, doing: Doing];

const nothingLeft: Left = { messages: [], watermarks: [], agents: [], orders: [], faults: [] };

function history(steps: readonly Step[], left: Partial<Left> = {}): History {
  const events = steps.map(([who, doing], index): Event => ({ ...doing, who, at: index + 1 }));
  return { events, left: { ...nothingLeft, ...left } };
}

const invoked = (key: string, channel = "c"): Step => [`sender of ${key}`, { kind: "invoked", key, channel }];
const acknowledged = (key: string, id: number): Step => [`sender of ${key}`, { kind: "acknowledged", key, id }];
const refused = (key: string): Step => [`sender of ${key}`, { kind: "refused", key }];
const sent = (key: string, id: number, channel = "c"): Step[] => [invoked(key, channel), acknowledged(key, id)];
const stored = (...messages: readonly (readonly [id: number, key: string])[]): Left["messages"] =>
  messages.map(([id, key]) => ({ id, key, channel: "c" }));

const reader = (who: string, agent = "reader", channel = "c") => ({
  asked: [who, { kind: "asked", agent, channel }] satisfies Step,
  ended: [who, { kind: "ended", agent, channel }] satisfies Step,
  printed: (id: number, key: string): Step => [who, { kind: "printed", agent, channel, id, key }],
  settled: (id: number): Step => [who, { kind: "settled", agent, channel, id }],
});

const one = reader("one");
const two = reader("two");
const three = stored([1, "a"], [2, "b"], [3, "c"]);
const allSent = [...sent("a", 1), ...sent("b", 2), ...sent("c", 3)];
const at = (id: number): Partial<Left> => ({
  messages: three,
  watermarks: [{ agent: "reader", channel: "c", id }],
});
const mail = (who: string) => reader(who, "mail", "@mail");
const inMailbox: Partial<Left> = { messages: [{ id: 1, key: "a", channel: "@mail" }] };
const ordered: Step = ["boss", { kind: "ordered", order: "x", lease: 10 }];
const taken = (who: string): Step[] => [
  [who, { kind: "waited", role: "worker" }],
  [who, { kind: "offered", order: "x" }],
];
const done = (who: string, result: string): Step => [who, { kind: "done", order: "x", result }];
const ending = (result: string, status = "acked"): Partial<Left> => ({
  orders: [{ order: "x", status, attempts: 1, result }],
});
const time: Step[] = Array.from({ length: 10 }, () => ["time", { kind: "looking", signal: "none" }]);
const setting = (value: number): Step => ["setter", { kind: "setting", signal: "level", value }];
const set = (value: number): Step => ["setter", { kind: "set", signal: "level", value }];
const looking: Step = ["watcher", { kind: "looking", signal: "level" }];
const seen = (value: number): Step => ["watcher", { kind: "seen", signal: "level", value }];
const resetting: Step = ["keeper", { kind: "resetting" }];
const reset: Step = ["keeper", { kind: "reset", done: true }];

suite("the checker finds nothing in a history that kept its promises", () => {
  const kept: Readonly<Record<string, History>> = {
    "nothing happened": history([]),
    "each message read once, in order": history(
      [...allSent, one.asked, one.printed(1, "a"), one.printed(2, "b"), one.settled(2), one.asked, one.printed(3, "c")],
      at(2),
    ),
    "what was printed and not settled comes again": history(
      [
        ...allSent,
        one.asked,
        one.printed(1, "a"),
        one.ended,
        two.asked,
        ...three.map(({ id, key }) => two.printed(id, key)),
      ],
      at(0),
    ),
    "two who read under one name at once get the same": history(
      [
        ...allSent,
        ...[one.asked, two.asked, one.printed(1, "a"), two.printed(1, "a"), two.printed(2, "b"), two.settled(2)],
        ...[one.settled(1), one.asked, one.printed(3, "c")],
      ],
      at(2),
    ),
    "a send without an answer is there or not": history([invoked("a"), invoked("b"), one.asked, one.printed(1, "a")], {
      messages: stored([1, "a"]),
    }),
    "a send that is sent again gets its first id": history(
      [
        invoked("a"),
        ...sent("b", 2),
        invoked("a"),
        acknowledged("a", 1),
        one.asked,
        one.printed(1, "a"),
        one.printed(2, "b"),
      ],
      { messages: stored([1, "a"], [2, "b"]) },
    ),
    "what was refused, sent again and acknowledged is there": history(
      [invoked("a"), refused("a"), ...sent("a", 1), one.asked, one.printed(1, "a")],
      { messages: stored([1, "a"]) },
    ),
    "what everybody has read may be pruned": history([
      ...sent("a", 1),
      ...[one.asked, one.printed(1, "a")],
      ["pruner", { kind: "pruned", channel: "c" }],
    ]),
    "what was reset needn't be read": history([...sent("a", 1), resetting, reset, one.asked]),
    "a mailbox's message comes again after its lease": history(
      [
        ...sent("a", 1, "@mail"),
        mail("m1").asked,
        mail("m1").printed(1, "a"),
        ["time", { kind: "passed" }],
        mail("m2").asked,
        mail("m2").printed(1, "a"),
        mail("m2").settled(1),
      ],
      inMailbox,
    ),
    "an order comes again after its lease, and the first end counts": history(
      [ordered, ...taken("w1"), ...time, ...taken("w2"), done("w2", "2")],
      ending("2"),
    ),
    "a signal shows what is being set, or what was": history([
      setting(1),
      looking,
      set(1),
      seen(0),
      setting(2),
      looking,
      seen(2),
      set(2),
    ]),
  };
  for (const [what, it] of Object.entries(kept)) test(what, () => assert.deepEqual(violations(it), []));
});

suite("the checker finds planted violations", () => {
  const planted: readonly (readonly [what: string, found: RegExp, planted: History])[] = [
    [
      "a lost message",
      /^a was acknowledged as 1 and is lost$/m,
      history([...sent("a", 1), one.asked, one.printed(1, "a")]),
    ],
    [
      "a message that never came to a reader",
      /^reader in c: never got 3 \(c\)$/m,
      history([...allSent, one.asked, one.printed(1, "a"), one.printed(2, "b")], at(0)),
    ],
    [
      "a doubled message",
      /^a is there twice, as 1 and 2$/m,
      history([...sent("a", 1)], { messages: stored([1, "a"], [2, "a"]) }),
    ],
    [
      "a message stored under another id than its sender was told",
      /^a was acknowledged as one message and is another: 1,2$/m,
      history(sent("a", 1), { messages: stored([2, "a"]) }),
    ],
    [
      "two answers to one request",
      /^a was acknowledged as one message and is another: 1,2$/m,
      history([...sent("a", 1), ...sent("a", 2)], { messages: stored([1, "a"]) }),
    ],
    [
      "a refused message that is there",
      /^a was refused and is there, as 1$/m,
      history([invoked("a"), refused("a")], { messages: stored([1, "a"]) }),
    ],
    [
      "a message of nobody",
      /^message 1 \(ghost\) is there, and nobody sent it$/m,
      history([], { messages: stored([1, "ghost"]) }),
    ],
    [
      "an id that is older than one given out before",
      /^b got 1, though 2 had been given out before$/m,
      history([...sent("a", 2), ...sent("b", 1)], { messages: stored([1, "b"], [2, "a"]) }),
    ],
    [
      "an order swapped",
      /^reader in c: one got 1 behind 2$/m,
      history([...allSent, one.asked, one.printed(2, "b"), one.printed(1, "a"), one.printed(3, "c")], at(0)),
    ],
    [
      "the same twice in one answer",
      /^reader in c: one got 1 behind 1$/m,
      history(
        [...allSent, one.asked, one.printed(1, "a"), one.printed(1, "a"), one.printed(2, "b"), one.printed(3, "c")],
        at(0),
      ),
    ],
    [
      "a message skipped in the middle",
      /^reader in c: one got 3 and not 2 before it$/m,
      history(
        [...allSent, one.asked, one.printed(1, "a"), one.printed(3, "c"), one.ended, two.asked, two.printed(2, "b")],
        at(0),
      ),
    ],
    [
      "a message skipped at the beginning",
      /^reader in c: one got 2 and not 1 before it$/m,
      history(
        [...allSent, one.asked, one.printed(2, "b"), one.printed(3, "c"), one.ended, two.asked, two.printed(1, "a")],
        at(0),
      ),
    ],
    [
      "a watermark gone back, seen by a reader",
      /^reader in c: two got 2 again, after it was settled$/m,
      history(
        [
          ...allSent,
          one.asked,
          ...three.map(({ id, key }) => one.printed(id, key)),
          one.settled(3),
          two.asked,
          two.printed(2, "b"),
        ],
        at(3),
      ),
    ],
    [
      "a watermark gone back, seen at the end",
      /^reader in c: the watermark was at 3 and is at 1$/m,
      history([...allSent, one.asked, ...three.map(({ id, key }) => one.printed(id, key)), one.settled(3)], at(1)),
    ],
    [
      "another text under an id",
      /^reader in c: 1 is z for its reader and a for its sender$/m,
      history([...sent("a", 1), one.asked, one.printed(1, "z")], { messages: stored([1, "a"]) }),
    ],
    [
      "a message after its reset",
      /^reader in c: one got 1 after the reset that removed it$/m,
      history([...sent("a", 1), resetting, reset, one.asked, one.printed(1, "a")]),
    ],
    [
      "a message that a reset before it took along",
      /^a was acknowledged as 1 and is lost$/m,
      history([resetting, reset, ...sent("a", 1)]),
    ],
    [
      "a pruned message that somebody hadn't read",
      /^reader in c: never got 1 \(a\)$/m,
      history([...sent("a", 1), ["pruner", { kind: "pruned", channel: "c" }], one.asked]),
    ],
    [
      "a mailbox's message handed to two",
      /^mail in @mail: 1 was handed to m1 and to m2 at once$/m,
      history(
        [
          ...sent("a", 1, "@mail"),
          mail("m1").asked,
          mail("m1").printed(1, "a"),
          mail("m2").asked,
          mail("m2").printed(1, "a"),
        ],
        inMailbox,
      ),
    ],
    [
      "a mailbox's message that comes again though it arrived",
      /^mail in @mail: m2 got 1 again, after it was settled$/m,
      history(
        [
          ...sent("a", 1, "@mail"),
          mail("m1").asked,
          mail("m1").printed(1, "a"),
          mail("m1").settled(1),
          mail("m2").asked,
          mail("m2").printed(1, "a"),
        ],
        inMailbox,
      ),
    ],
    ["a lost order", /^order x was acknowledged and is lost$/m, history([ordered])],
    ["an order that nobody did", /^order x is pending$/m, history([ordered], ending("", "pending"))],
    ["an order that died before its time", /^order x is dead$/m, history([ordered], ending("", "dead"))],
    [
      "an order handed to two",
      /^order x was handed to w1 and to w2 at once$/m,
      history([ordered, ...taken("w1"), ...taken("w2"), done("w2", "2")], ending("2")),
    ],
    [
      "an order with two ends",
      /^order x has ended as 1 and as 2$/m,
      history([ordered, ...taken("w1"), done("w1", "1"), done("w2", "2")], ending("1")),
    ],
    [
      "an order whose end was changed",
      /^order x has ended as 1 and is 2$/m,
      history([ordered, ...taken("w1"), done("w1", "1")], ending("2")),
    ],
    [
      "an order handed out after its end",
      /^order x was handed to w2 after its end$/m,
      history([ordered, ...taken("w1"), done("w1", "1"), ...time, ...taken("w2")], ending("1")),
    ],
    [
      "a signal that forgot",
      /^signal level showed 1 at \d+, after 2 was set$/m,
      history([setting(1), set(1), setting(2), set(2), looking, seen(1)]),
    ],
    [
      "a signal of nobody",
      /^signal level showed 5, which nobody had set$/m,
      history([setting(1), set(1), looking, seen(5)]),
    ],
    [
      "a lost registration",
      /^herald was registered and is lost$/m,
      history([["ops", { kind: "registered", name: "herald", publicKey: "k" }]]),
    ],
    [
      "a registration with another key",
      /^herald was registered and has another key$/m,
      history([["ops", { kind: "registered", name: "herald", publicKey: "k" }]], {
        agents: [{ name: "herald", publicKey: "other" }],
      }),
    ],
    ["a damaged file", /^the file is damaged$/m, history([], { faults: ["the file is damaged"] })],
    [
      "a fault without a sentence",
      /^x said "Error: Internal error\\n"$/m,
      history([["x", { kind: "said", text: "Error: Internal error\n" }]]),
    ],
    [
      "a stack trace",
      /^x said "Error: a\\n {4}at b"$/m,
      history([["x", { kind: "said", text: "Error: a\n    at b" }]]),
    ],
  ];
  for (const [what, found, it] of planted) test(what, () => assert.match(violations(it).join("\n"), found));
});
