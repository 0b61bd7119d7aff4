// Empties a mailbox over a socket and says on standard output what it got and what was acknowledged; made to be killed at
// any moment. Arguments: the surface, the port, the mailbox.
import { writeSync } from "node:fs";
import { connectLines, connectWebSocket } from "../support/sockets.ts";

const [surface, port, mailbox] = process.argv.slice(2);
const say = (what: string, id: unknown) => writeSync(1, `${what} ${id}\n`);

async function overTcp(): Promise<void> {
  using line = await connectLines(Number(port));
  for (;;) {
    line.say({ id: 1, op: "wait", mailbox, timeout: 60, ack: "manual" });
    const { message } = await line.next();
    if (message === undefined) return;
    const { id, msg } = Object(message);
    say("got", msg);
    line.say({ id: 2, op: "settle", mailbox, ids: [id] });
    if ((await line.next()).ok !== true) return;
    say("acknowledged", msg);
  }
}

async function overWebSocket(): Promise<void> {
  using socket = await connectWebSocket(Number(port));
  socket.say({ type: "register", agent: mailbox, ack: "manual" });
  if ((await socket.next()).type !== "registered") return;
  const texts = new Map<unknown, unknown>();
  for (;;) {
    const { type, id, message, ids } = await socket.next();
    if (type === "message") {
      texts.set(id, message);
      say("got", message);
      socket.say({ type: "received", id });
    } else if (type === "settled" && Array.isArray(ids)) for (const one of ids) say("acknowledged", texts.get(one));
  }
}

for (;;) {
  try {
    await (surface === "tcp" ? overTcp() : overWebSocket());
  } catch {
    // The connection broke: connect again.
  }
  await new Promise((resolve) => setTimeout(resolve, 20));
}
