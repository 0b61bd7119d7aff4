// Sends over HTTP on many connections at once, each waiting for its answer before it sends again. On plain sockets, since
// node:http's client costs more than the servers that are measured.
import { connect } from "node:net";
import { type Requests, type Signing, sendRequests } from "./http-requests.ts";
import { answerLines, taskText } from "./rounds.ts";

export interface LoadTask {
  readonly port: number;
  readonly connections: number;
  readonly seconds: number;
  readonly signing?: Signing;
}

/** Requests per second that are signed in advance; a server that takes more ends the round early. */
const SIGNED_A_SECOND = 15_000;

/** Requests in flight at the end are awaited for at most this long, so that they disturb no other round. */
const LATE_MS = 10_000;

const task: LoadTask = JSON.parse(taskText());

await answerLines(async () => {
  const requests = sendRequests(task.port, task.seconds * SIGNED_A_SECOND, task.signing);
  const load = createLoad(requests);
  const cpu = process.cpuUsage();
  const started = performance.now();
  const connections = Promise.all(Array.from({ length: task.connections }, () => load.talk()));
  await Promise.race([connections, pause(task.seconds * 1_000)]);
  const milliseconds = performance.now() - started;
  const { user, system } = process.cpuUsage(cpu);
  const { answered } = load.counts;
  load.end();
  await Promise.race([connections, pause(LATE_MS)]);
  const { failed, broken } = load.counts;
  return { answered, failed, broken, seconds: milliseconds / 1_000, busy: (user + system) / 1_000 / milliseconds };
});
process.exit(0);

/** Runs this many conversations with the server by `talk`, until `end` or until nothing is left to send. */
function createLoad({ all, again }: Requests) {
  const counts = { answered: 0, failed: 0, broken: 0 };
  let next = 0;
  let over = false;

  const nextRequest = (): Buffer | undefined => {
    if (over || (!again && next >= all.length)) return undefined;
    return all[next++ % all.length];
  };

  /** One connection. Answers whether there may be more to say on another one. */
  const converse = () =>
    new Promise<boolean>((resolve) => {
      const socket = connect({ port: task.port, host: "127.0.0.1", noDelay: true });
      let partial = "";
      const ask = (): void => {
        const request = nextRequest();
        if (request === undefined) socket.destroy();
        else socket.write(request);
      };
      socket.once("connect", ask);
      socket.on("data", (chunk: Buffer) => {
        partial += chunk.toString("latin1");
        if (!isWhole(partial)) return;
        if (partial.startsWith(" 200", 8)) counts.answered++;
        else counts.failed++;
        // A server of HTTP/1.0, as the original's, answers once a connection.
        if (partial.startsWith("HTTP/1.0")) socket.destroy();
        else ask();
        partial = "";
      });
      socket.on("error", () => counts.broken++);
      socket.on("close", () => resolve(!over && (again || next < all.length)));
    });

  return {
    counts,
    talk: async () => {
      while (await converse());
    },
    end: () => {
      over = true;
    },
  };
}

function isWhole(answer: string): boolean {
  const headEnd = answer.indexOf("\r\n\r\n");
  if (headEnd === -1) return false;
  const at = answer.search(/content-length: /i);
  return at !== -1 && answer.length >= headEnd + 4 + Number.parseInt(answer.slice(at + 16, at + 28), 10);
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
