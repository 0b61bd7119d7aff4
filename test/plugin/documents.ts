import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { operations } from "../../src/operations/index.ts";
import { repository } from "./support.ts";

/** A slash command or a skill: its front matter by key, its text, and the shell commands in it. */
export type Document = {
  readonly name: string;
  readonly head: ReadonlyMap<string, readonly string[]>;
  readonly text: string;
  readonly blocks: readonly string[];
};

export const path = `"\${CLAUDE_PLUGIN_ROOT}/sources.d/ipc-server.sh"`;

export function document(file: string, name: string): Document {
  const [, front, text] = /^---\n(.*?)\n---\n(.*)$/s.exec(readFileSync(join(repository, file), "utf8")) ?? [];
  assert.ok(front !== undefined && text !== undefined, `${file} has front matter`);
  const head = new Map<string, string[]>();
  let key = "";
  for (const line of front.split("\n")) {
    const [, item] = /^ {2}- (.+)$/.exec(line) ?? [];
    const [, name, value] = /^([a-z-]+):(?: (.+))?$/.exec(line) ?? [];
    if (name !== undefined) {
      key = name;
      head.set(key, value === undefined ? [] : [value]);
    } else if (item !== undefined) head.get(key)?.push(item);
    else assert.fail(`${file}: not understood: ${line}`);
  }
  const blocks = [...text.matchAll(/^( *)```sh\n(.*?)\n\1```$/gms)].map(([, indent, block]) =>
    String(block).replaceAll(new RegExp(`^${indent}`, "gm"), ""),
  );
  return { name, head, text, blocks };
}

export const commands: readonly Document[] = readdirSync(join(repository, "commands"))
  .sort()
  .map((file) => document(join("commands", file), file.replace(/\.md$/, "")));

export const skills: readonly Document[] = readdirSync(join(repository, "skills"))
  .sort()
  .map((folder) => document(join("skills", folder, "SKILL.md"), folder));

export function command(name: string): Document {
  const found = commands.find((one) => one.name === name);
  assert.ok(found !== undefined, `there is a command ${name}`);
  return found;
}

/** The verbs that a text runs, each with the options that follow on the line. */
export function verbsIn(text: string): { verb: string; options: string[] }[] {
  const found = text.matchAll(/(?:ipc-server\.sh"|\bel-ipc|event-listen\.sh ipc-server) ([a-z-]+)([^\n`|&]*)/g);
  return [...found].map(([, first = "", rest = ""]) => {
    const two = `${first} ${/^ ([a-z]+)/.exec(rest)?.[1]}`;
    const verb = operations.some(({ name }) => name === two) ? two : first;
    return { verb, options: rest.match(/--[a-z-]+/g) ?? [] };
  });
}
