import { ask, openAnswer } from "../../support/http.ts";
import { start } from "../../support/program.ts";
import { far } from "./senders.ts";
import { type Chance, pause, type World } from "./world.ts";

interface Got {
  readonly id: number;
  readonly content: string;
}

/** The command line, a process a read, killed in the middle of many. */
export async function readByCommand(world: World, channel: string, agent: string, name: string): Promise<void> {
  const chance = world.chance(name);
  for (let n = 0; !world.over.aborted; n++) {
    const limit = ["--limit", String(1 + chance.below(50))];
    const words = ["read", channel, agent, "--wait", "--timeout", "1", ...limit, ...far(world, chance)];
    await readOnce(world, chance, `${name}/${n}`, { channel, agent, words, killed: 0.4 });
    await pause(world, chance.below(50));
  }
}

interface Once {
  readonly channel: string;
  readonly agent: string;
  readonly words: readonly string[];
  readonly killed: number;
}

/** One process that prints messages and then settles them. Answers with how many it printed. */
async function readOnce(world: World, chance: Chance, who: string, once: Once): Promise<number> {
  const { channel, agent, words, killed } = once;
  world.log(who, { kind: "asked", agent, channel });
  const { code, stdout, stderr } = await world.cli(chance, words, killed);
  const got = messagesIn(stdout);
  for (const { id, content } of got) world.log(who, { kind: "printed", agent, channel, id, key: content });
  if (code === 0) settle(world, who, agent, channel, got);
  else if (code !== null) world.log(who, { kind: "said", text: stderr });
  world.log(who, { kind: "ended", agent, channel });
  return got.length;
}

/** Of a channel the last one says it all. */
function settle(world: World, who: string, agent: string, channel: string, got: readonly Got[]): void {
  const settled = channel.startsWith("@") ? got : got.slice(-1);
  for (const { id } of settled) world.log(who, { kind: "settled", agent, channel, id });
}

/** An array, or a message a line. What was cut off in the middle was not printed. */
function messagesIn(text: string): readonly Got[] {
  try {
    return text.startsWith("[")
      ? JSON.parse(text)
      : text
          .split("\n")
          .slice(0, -1)
          .map((line) => JSON.parse(line));
  } catch {
    return [];
  }
}

/** HTTP, which acknowledges when it has the messages, and now and then leaves in the middle of an answer. */
export async function readByRequest(world: World, channel: string, agent: string): Promise<void> {
  const chance = world.chance(agent);
  const mailbox = channel.startsWith("@") ? channel.slice(1) : undefined;
  const what = mailbox
    ? `GET /mailboxes/${mailbox}/fetch?ack=manual&limit=5`
    : `GET /messages?channel=${channel}&agent=${agent}&wait=true&timeout=1&ack=manual`;
  for (let n = 0; !world.over.aborted; n++) {
    const who = `${agent} by http/${n}`;
    if (chance.often(0.2)) {
      await leaveInTheMiddle(world, what, chance);
      continue;
    }
    world.log(who, { kind: "asked", agent, channel });
    const { json } = (await ask(world.url, what).catch(() => undefined)) ?? {};
    const got: readonly Got[] = Array.isArray(json) ? json : (Object(json).messages ?? []);
    for (const { id, content } of got) world.log(who, { kind: "printed", agent, channel, id, key: content });
    const last = got.at(-1);
    if (last !== undefined && chance.often(0.8)) {
      const [path, body] = mailbox
        ? [`POST /mailboxes/${mailbox}/settle`, { ids: got.map(({ id }) => id) }]
        : ["POST /ack", { channel, agent, id: last.id }];
      const { status } = (await ask(world.url, path, { body }).catch(() => undefined)) ?? {};
      if (status === 200) settle(world, who, agent, channel, got);
    }
    world.log(who, { kind: "ended", agent, channel });
    await pause(world, chance.below(60));
  }
}

async function leaveInTheMiddle(world: World, what: string, chance: Chance): Promise<void> {
  const aborting = new AbortController();
  const timer = setTimeout(() => aborting.abort(), chance.below(30));
  const response = await openAnswer(world.url, what, { signal: aborting.signal }).catch(() => undefined);
  response?.on("error", () => {}).destroy();
  clearTimeout(timer);
}

/** A follower that is killed and begins anew; or one against the server, which lives through all of its deaths. */
export async function follow(
  world: World,
  { channel, agent, dies, url }: { channel: string; agent: string; dies: boolean; url?: string },
): Promise<void> {
  const chance = world.chance(agent);
  for (let life = 0; !world.over.aborted; life++) {
    const who = `${agent}/${life}`;
    await using program = start(["follow", channel, agent, ...(url ? ["--url", url] : [])], world.environment);
    world.log(who, { kind: "asked", agent, channel });
    let rest = "";
    program.child.stdout.on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const { id, content } of lines.map((line): Got => JSON.parse(line)))
        world.log(who, { kind: "printed", agent, channel, id, key: content });
    });
    const ended = program.ended.then(({ code, stderr }) => {
      if (code !== null) world.log(who, { kind: "said", text: stderr });
    });
    await Promise.race([ended, dies ? pause(world, 200 + chance.below(1_000)) : pause(world, 3_600_000)]);
    program.child.kill("SIGKILL");
    await ended;
    world.log(who, { kind: "ended", agent, channel });
  }
}

/** When all is over: what somebody hasn't read yet is read. */
export async function readToTheEnd(world: World, channel: string, agent: string): Promise<void> {
  const chance = world.chance(`${agent} at the end`);
  const words = channel.startsWith("@") ? ["fetch", agent] : ["read", channel, agent];
  for (let n = 0; ; n++) {
    const who = `${agent} at the end/${n}`;
    if ((await readOnce(world, chance, who, { channel, agent, words, killed: 0 })) === 0) return;
  }
}
