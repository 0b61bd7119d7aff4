import { answerOf } from "../answers.ts";
import type { Bench, Setting } from "../bench.ts";
import { figure } from "../figures.ts";
import { temporaryFolder } from "../folder.ts";
import { type Line, part, times } from "../lines.ts";
import { cpuMs, hasProc } from "../proc.ts";
import { type Running, ready, runCommand, start, workerCommand } from "../processes.ts";
import { command, type Keys, on, type Server, secure, serve, serveOther } from "../program.ts";
import { inTurn } from "../rounds.ts";
import type { LoadTask } from "../workers/http-load.ts";

const ROUNDS = { quick: 2, usual: 5, long: 9 } as const;
const SECONDS = { quick: 0.5, usual: 2, long: 4 } as const;
const CONNECTIONS = 64;

export const httpSends: Bench = {
  name: "http",
  about: `sends over HTTP on ${CONNECTIONS} connections at once, FULL`,
  run: async (setting) => {
    await using stack = new AsyncDisposableStack();
    const folder = () => stack.use(temporaryFolder());
    const seconds = SECONDS[setting.extent];
    const load = (port: number) => loader(stack, { port, connections: CONNECTIONS, seconds });
    const ourServer = stack.use(await serve(on(folder())));
    const bareServer = stack.use(await serveOther(workerCommand("bare-server", {})));
    const ours = await load(ourServer.port);
    const bare = await load(bareServer.port);
    const server = await originalServer(setting, stack);
    const original = server && (await load(server.port));

    const busy: number[] = [];
    const cost = { ours: [] as number[], bare: [] as number[] };
    const figures = await inTurn(
      {
        ours: () => rate(ours, { busy, server: ourServer.pid, cost: cost.ours }),
        bare: () => rate(bare, { busy, server: bareServer.pid, cost: cost.bare }),
        original: original && (() => rate(original, { mayBreak: true })),
      },
      { unit: "/s", rounds: ROUNDS[setting.extent], dropped: 1 },
    );
    noteLoad(setting, busy);
    const work = `HTTP sends, ${CONNECTIONS} connections, FULL`;
    const lines: Line[] = [
      { work, ours: figures.ours, beside: { name: "original", figure: figures.original }, target: times(70) },
      { work, ours: figures.ours, beside: { name: "bare node:http", figure: figures.bare }, target: part(0.7) },
    ];
    if (hasProc) {
      const beside = { name: "bare node:http", figure: figure("µs", cost.bare) };
      lines.push({ work: "the same, processor time each", ours: figure("µs", cost.ours), beside });
    }
    return lines;
  },
};

export const signedHttpSends: Bench = {
  name: "http-signed",
  about: "the same in secure mode, each message signed and verified: v1 as the original has it, and v2",
  run: async (setting) => {
    await using stack = new AsyncDisposableStack();
    const folder = stack.use(temporaryFolder());
    const variables = on(folder);
    const keys = secure(folder, variables);
    const { port } = stack.use(await serve(variables));
    const seconds = SECONDS[setting.extent];
    const signed = (to: number, version: 1 | 2, { sender, file }: Keys, audience: string) =>
      loader(stack, {
        port: to,
        connections: CONNECTIONS,
        seconds,
        signing: { version, keyFile: file, sender, audience },
      });
    const v1 = await signed(port, 1, keys, "");
    const v2 = await signed(port, 2, keys, didOf(runCommand(command("health"), variables).output));
    const original = setting.original?.signs ? await signedOriginal(setting, stack, signed) : undefined;

    const figures = await inTurn(
      {
        v1: () => rate(v1),
        v2: () => rate(v2),
        original: original && (() => rate(original, { mayBreak: true })),
      },
      { unit: "/s", rounds: ROUNDS[setting.extent], dropped: 1 },
    );
    const beside = { name: "original (v1)", figure: figures.original };
    const lines: Line[] = [
      { work: `the same, signed v1`, ours: figures.v1, beside, target: times(35) },
      { work: `the same, signed v2`, ours: figures.v2, beside, target: times(35) },
    ];
    return lines;
  },
};

async function originalServer({ original }: Setting, stack: AsyncDisposableStack): Promise<Server | undefined> {
  if (original === undefined) return undefined;
  return stack.use(await serveOther(original.drive("serve"), on(stack.use(temporaryFolder()))));
}

async function signedOriginal(
  { original }: Setting,
  stack: AsyncDisposableStack,
  signed: (port: number, version: 1, keys: Keys, audience: string) => Promise<Running>,
): Promise<Running | undefined> {
  if (original === undefined) return undefined;
  const folder = stack.use(temporaryFolder());
  const keys = secure(folder, on(folder));
  const { port } = stack.use(await serveOther(original.drive("serve"), on(folder)));
  return await signed(port, 1, keys, "");
}

async function loader(stack: AsyncDisposableStack, task: LoadTask): Promise<Running> {
  const program = stack.use(start(workerCommand("http-load", task)));
  await ready(program);
  return program;
}

interface Round {
  /** The original's server keeps so few connections waiting that it breaks some of so many. */
  readonly mayBreak?: boolean;
  /** Gets the part of a core that the load itself used. */
  readonly busy?: number[];
  /** The server's process, and what gets its processor time for each send, in microseconds. */
  readonly server?: number;
  readonly cost?: number[];
}

async function rate(load: Running, { mayBreak = false, busy, server, cost }: Round = {}): Promise<number> {
  const before = server !== undefined && hasProc ? cpuMs(server) : 0;
  load.tell("go\n");
  const answer = await answerOf(load);
  const [failed, broken] = [answer.number("failed"), answer.number("broken")];
  if (failed > 0 || (broken > 0 && !mayBreak)) throw new Error(`${failed} sends were refused, ${broken} broke off`);
  busy?.push(answer.number("busy"));
  if (server !== undefined && hasProc) cost?.push(((cpuMs(server) - before) * 1_000) / answer.number("answered"));
  return answer.number("answered") / answer.number("seconds");
}

/** A load that is itself at its limit measures itself. */
function noteLoad({ note }: Setting, busy: readonly number[]): void {
  const most = Math.round(Math.max(...busy) * 100);
  note(`HTTP: the load came from another process on this same machine, which used up to ${most} % of a core for it`);
}

function didOf(health: string): string {
  return /"did":"([^"]+)"/.exec(health)?.[1] ?? "";
}
