import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { type Program, start } from "../../support/program.ts";
import type { Event } from "../events.ts";
import { type Chance, pause, type World } from "./world.ts";

/** The programs of writers and readers as one file each, since they are started many times. */
export async function buildPrograms(folder: string): Promise<{ writer: string; reader: string }> {
  await build({
    entryPoints: ["writer-process.ts", "reader-process.ts"].map((name) =>
      fileURLToPath(new URL(name, import.meta.url)),
    ),
    outdir: folder,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    format: "esm",
    loader: { ".sql": "text" },
    external: ["better-sqlite3", "@nats-io/*"],
  });
  symlinkSync(fileURLToPath(new URL("../../../node_modules", import.meta.url)), join(folder, "node_modules"));
  return { writer: join(folder, "writer-process.mjs"), reader: join(folder, "reader-process.mjs") };
}

/** A process whose log is its standard output. It is killed in the middle of its work and started again. */
export async function workAndDie(
  world: World,
  name: string,
  entry: string,
  words: (life: number) => readonly string[],
): Promise<void> {
  const chance = world.chance(name);
  for (let life = 0; !world.over.aborted; life++) {
    await using program = start(words(life), {}, { entry, input: null, node: ["--no-warnings"] });
    await live(world, program, chance);
    const { stdout, stderr, code } = await program.ended;
    const who = `${name}/${life}`;
    for (const event of logged(stdout)) world.events.push({ ...event, who });
    if (stderr !== "" || (code !== 0 && code !== null)) world.log(who, { kind: "said", text: `${code}: ${stderr}` });
  }
}

async function live(world: World, program: Program, chance: Chance): Promise<void> {
  await program.untilPrinted("\n").catch(() => undefined);
  await pause(world, chance.below(1_500));
  if (world.over.aborted) program.child.stdin.end();
  else program.child.kill("SIGKILL");
}

/** The complete lines of a log. A line that was cut off says nothing. */
function logged(text: string): Event[] {
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}
