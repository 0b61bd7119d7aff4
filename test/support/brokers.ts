import type { TemporaryBus } from "./bus.ts";
import { type Environment, listening, type Server } from "./program.ts";

/** A broker of the built program on a port of its own. */
export function broker(bus: TemporaryBus, more: Environment = {}, ...words: string[]): Promise<Server> {
  return listening(bus.with(more).start(["tcp", "broker", "0", ...words]));
}

/** The port on which a server speaks TCP, too. */
export async function tcpPortOf({ said }: Pick<Server, "said">): Promise<number> {
  return Number(/"tcp":"tcp:\/\/[^"]*:(\d+)"/.exec(await said("tcp"))?.[1]);
}

/** A token of an agent, whose key lies in the bus's folder. */
export async function tokenOf(bus: TemporaryBus, agent: string): Promise<string> {
  const { stdout, stderr, code } = await bus.run("token", agent, "--key", bus.file(`${agent}.key`));
  if (code !== 0) throw new Error(stderr);
  return stdout.trim();
}
