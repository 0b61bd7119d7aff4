import { ask } from "../../support/http.ts";
import { type Identity, tokenOf } from "../../support/identity.ts";
import { pause, type World } from "./world.ts";

/** Long enough for the work here, and so short that what a killed server had handed out comes again in time. */
const LEASE_SECONDS = 1;

const ROLE = "worker";

interface Said {
  readonly id?: string;
  readonly command?: { readonly id: string };
  readonly signal?: { readonly data: number };
}

async function asked(world: World, what: string, body?: object): Promise<{ status: number; said: Said } | undefined> {
  const headers: Record<string, string> = world.sender
    ? { Authorization: `Bearer ${tokenFor(world.sender, world)}` }
    : {};
  const asking = body === undefined ? { headers } : { headers, body };
  const answer = await ask(world.url, what, asking).catch(() => undefined);
  return answer && { status: answer.status, said: Object(answer.json) };
}

function tokenFor(sender: Identity, { did }: World): string {
  return tokenOf(sender, did);
}

/** Orders work of whoever of the role is first. */
export async function order(world: World): Promise<void> {
  const chance = world.chance("orderer");
  for (let n = 0; !world.over.aborted; n++) {
    const body = { target: ROLE, action: "work", params: { n }, any: true, lease: LEASE_SECONDS };
    const answer = await asked(world, "POST /commands/send", body);
    const id = answer?.status === 200 ? answer.said.command?.id : undefined;
    if (id !== undefined) world.log("orderer", { kind: "ordered", order: id, lease: LEASE_SECONDS * 1_000 });
    await pause(world, 20 + chance.below(150));
  }
}

/** Does what is ordered, and now and then forgets it; goes on until nothing is left to do. */
export async function work(world: World, name: string): Promise<void> {
  const chance = world.chance(name);
  let id: string | undefined;
  let idle = 0;
  for (let n = 0; !world.over.aborted || idle < 3; n++) {
    id ??= (await asked(world, "POST /peers/connect", { role: ROLE }))?.said.id;
    if (id === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      continue;
    }
    world.log(name, { kind: "waited", role: ROLE });
    const answer = await asked(world, `GET /commands/${id}/wait?timeout=700`);
    // A reset removes sessions, too.
    if (answer?.status === 404) id = undefined;
    const order = answer?.status === 200 ? answer.said.command?.id : undefined;
    // A server that is away or can't write, as on a full disk, says nothing about what is left to do.
    if (answer === undefined || answer.status >= 500) await new Promise((resolve) => setTimeout(resolve, 50));
    else idle = answer.status === 408 ? idle + 1 : 0;
    if (order === undefined) continue;
    world.log(name, { kind: "offered", order });
    if (!world.over.aborted && chance.often(0.1)) continue;
    const result = `${name} ${n}`;
    const done = await asked(world, `POST /commands/${order}/ack`, { result });
    if (done?.status === 200) world.log(name, { kind: "done", order, result });
  }
}

/** Sets a signal to higher and higher numbers. */
export async function signal(world: World, name: string): Promise<void> {
  const chance = world.chance(name);
  for (let value = 1; !world.over.aborted; value++) {
    world.log(`setter of ${name}`, { kind: "setting", signal: name, value });
    const answer = await asked(world, `POST /signals/${name}`, { data: value });
    if (answer?.status === 200) world.log(`setter of ${name}`, { kind: "set", signal: name, value });
    await pause(world, chance.below(100));
  }
}

export async function look(world: World, name: string): Promise<void> {
  const chance = world.chance(name);
  while (!world.over.aborted) {
    world.log(`watcher of ${name}`, { kind: "looking", signal: name });
    const answer = await asked(world, `GET /signals/${name}`);
    const value = answer?.status === 404 ? 0 : answer?.said.signal?.data;
    if (value !== undefined) world.log(`watcher of ${name}`, { kind: "seen", signal: name, value });
    await pause(world, chance.below(100));
  }
}
