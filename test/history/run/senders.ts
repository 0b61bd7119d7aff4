import { ask } from "../../support/http.ts";
import { createIdentity, type Identity, signV1, signV2, stampFor } from "../../support/identity.ts";
import { type Chance, pause, type World } from "./world.ts";

/** Someone in open mode, where any signature will do. */
const anyone = createIdentity("anyone");

const whoSends = ({ sender }: World): Identity => sender ?? anyone;

/** The command line, a process a message, near and far. Whoever is killed leaves open whether it was sent. */
export async function sendByCommand(world: World, channel: string, name: string): Promise<void> {
  const chance = world.chance(name);
  const sender = whoSends(world).name;
  for (let n = 0; !world.over.aborted; n++) {
    const who = `${name}/${n}`;
    const key = `${name} ${n}`;
    const mailbox = channel.startsWith("@");
    const what = mailbox ? ["post", channel.slice(1), key, "--from", sender] : ["send", channel, sender, key];
    const signed = world.sender === undefined ? [] : ["--key", world.sender.keyFile];
    world.log(who, { kind: "invoked", key, channel });
    const { code, stdout, stderr, killed } = await world.cli(chance, [...what, ...signed, ...far(world, chance)], 0.3);
    if (code === 0) world.log(who, { kind: "acknowledged", key, id: JSON.parse(stdout).id });
    else if (!killed) {
      if (isRefusal(stderr)) world.log(who, { kind: "refused", key });
      world.log(who, { kind: "said", text: stderr });
    }
    await pause(world, chance.below(100));
  }
}

/** Against the server as often as not. */
export function far({ url }: World, chance: Chance): readonly string[] {
  return chance.often(0.5) ? ["--url", url] : [];
}

/** The store said so. That no server answered, or only half, says nothing about what it did. */
function isRefusal(said: string): boolean {
  return said.startsWith("Error: The database ");
}

/** HTTP, each message under a nonce, sent again until there is an answer: it is there once. */
export async function sendUntilAnswered(world: World, channel: string, name: string): Promise<void> {
  const chance = world.chance(name);
  for (let n = 0; !world.over.aborted; n++) {
    const key = `${name} ${n}`;
    const body = signV2(whoSends(world), { channel, content: key }, stampFor(world.did));
    for (let answered = false; !answered; ) answered = await post(world, name, key, channel, body);
    await pause(world, chance.below(30));
  }
}

/** HTTP without a nonce, tried once: there once or, where no answer came, not at all. */
export async function sendOnce(world: World, channel: string, name: string): Promise<void> {
  const chance = world.chance(name);
  for (let n = 0; !world.over.aborted; n++) {
    const key = `${name} ${n}`;
    const said = { channel, content: key };
    const body = world.sender === undefined ? { ...said, sender: "anyone" } : signV1(world.sender, said);
    await post(world, name, key, channel, body);
    await pause(world, chance.below(40));
  }
}

/** Answers whether there was an answer that it is stored. */
async function post(world: World, who: string, key: string, channel: string, body: object): Promise<boolean> {
  world.log(who, { kind: "invoked", key, channel });
  const answer = await ask(world.url, "POST /send", { body }).catch(() => undefined);
  const { status, json } = answer ?? {};
  const said: { id?: number; error?: string } = Object(json);
  if (status === 200 && said.id !== undefined) {
    world.log(who, { kind: "acknowledged", key, id: said.id });
    return true;
  }
  if (said.error !== undefined) {
    world.log(who, { kind: "refused", key });
    world.log(who, { kind: "said", text: `Error: ${said.error}` });
  }
  await new Promise((resolve) => setTimeout(resolve, 20));
  return false;
}
