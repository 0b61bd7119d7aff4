import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createIdentity } from "../../support/identity.ts";
import { pause, type World } from "./world.ts";

/** Removes what everybody has read, and is killed at it. */
export async function prune(world: World, channel: string): Promise<void> {
  const chance = world.chance("pruner");
  for (let n = 0; !world.over.aborted; n++) {
    await pause(world, 100 + chance.below(300));
    const who = `pruner/${n}`;
    const { code, stderr, killed } = await world.cli(chance, ["prune", channel, "--consumed"], 0.5);
    world.log(who, { kind: "pruned", channel });
    if (code !== 0 && !killed) world.log(who, { kind: "said", text: stderr });
  }
}

/** One reset, somewhere in the middle of it all. */
export async function reset(world: World, after: number): Promise<void> {
  await pause(world, after);
  if (world.over.aborted) return;
  world.log("keeper", { kind: "resetting" });
  const { code, stderr } = await world.cli(world.chance("keeper"), ["reset"], 0);
  world.log("keeper", { kind: "reset", done: code === 0 });
  if (code !== 0) world.log("keeper", { kind: "said", text: stderr });
}

/** Registers agent after agent, and is killed at it; what was told is there. */
export async function register(world: World, folder: string): Promise<void> {
  const chance = world.chance("registrar");
  for (let n = 0; !world.over.aborted; n++) {
    const agent = createIdentity(`agent-${n}`);
    const file = join(folder, `${agent.name}.pub`);
    writeFileSync(file, agent.publicPem);
    const words = ["register", agent.name, "--pubkey", file, "--as", "ops", "--key", world.operatorKey];
    const { code, stderr, killed } = await world.cli(chance, words, 0.3);
    if (code === 0) world.log("registrar", { kind: "registered", name: agent.name, publicKey: agent.publicPem });
    else if (!killed) world.log("registrar", { kind: "said", text: stderr });
    await pause(world, 100 + chance.below(200));
  }
}

/** Fills the disk on which the database lies, and makes room again. */
export async function fill(world: World): Promise<void> {
  const chance = world.chance("filler");
  const file = join(dirname(world.path), "filler");
  const rubbish = Buffer.alloc(64 * 1024, 1);
  while (!world.over.aborted) {
    await pause(world, 200 + chance.below(600));
    let size = 0;
    try {
      for (;;) {
        writeFileSync(file, rubbish, { flag: "a" });
        size += rubbish.length;
      }
    } catch {
      // Now it is full.
    }
    await pause(world, 50 + chance.below(400));
    writeFileSync(file, "");
    if (size === 0) return;
  }
}
