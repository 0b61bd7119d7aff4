import { notFound } from "../../core/errors.ts";
import type { Desk } from "./desk.ts";
import { unique } from "./files.ts";

export async function register({ folder, print }: Desk, name: string, type: string): Promise<void> {
  folder.register(name, type);
  print(`✓ Registered agent: ${name} (${type})`);
}

export async function list({ folder, openPost, self, print }: Desk): Promise<void> {
  const inFolder = folder.agents();
  const post = await openPost(self, "if there is one");
  const onBus = ((await post?.agents()) ?? []).filter(({ name }) => !inFolder.some((agent) => agent.name === name));
  if (inFolder.length === 0) print('No agents registered. Run "agent-msg register <name>" first.');
  else print("Registered agents:");
  for (const { name, type, registered } of inFolder) print(`  ${name} (${type}) - registered ${registered}`);
  if (onBus.length > 0) print("On the bus:");
  for (const { name, what } of onBus) print(`  ${name} (${what})`);
}

/** By file to who is registered in the folder, by the bus to who is known there, and never by both. */
export async function send(desk: Desk, from: string, to: string, message: string): Promise<string> {
  const { folder, openPost } = desk;
  if (folder.has(to)) {
    const id = unique();
    folder.put({ id, from, to, message, timestamp: new Date().toISOString(), status: "sent" });
    return id;
  }
  const post = await openPost(from, "if there is one");
  if (post !== undefined && (await post.knows(to))) return await post.send(from, to, message);
  throw notFound(`Agent "${to}" not found. Run "agent-msg list" to see registered agents.`);
}
