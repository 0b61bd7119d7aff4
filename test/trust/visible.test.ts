import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { expectSuccess, secureBus, tcpPortOf, tokenOf } from "../support/bus.ts";
import { ask, openAnswer } from "../support/http.ts";
import { connectLines, connectWebSocket } from "../support/sockets.ts";

type Seen = readonly string[];

/** The names in a list. */
const named = (list: unknown, field: string): Seen =>
  Object(list)
    .map((one: Readonly<Record<string, unknown>>) => one[field])
    .toSorted();

suite("a token shows neither others' mailboxes nor the alarms, wherever channels are named", () => {
  test("over HTTP, in the stream of events, over WebSocket and over TCP", async () => {
    using bus = await secureBus("herald", "reader");
    await using server = await bus.serve({ IPC_READ_AUTH: "required" }, "--tcp", "0");
    const tcpPort = await tcpPortOf(server);
    const signed = ["--key", bus.file("herald.key")];
    await expectSuccess(bus.run("send", "builds", "herald", "green", ...signed));
    for (const to of ["herald", "reader"])
      await expectSuccess(bus.run("post", to, "psst", "--from", "herald", ...signed));
    await ask(server.url, "POST /send", { body: { channel: "builds", sender: "mallory", content: "x" } });

    const everything = ["@herald", "@reader", "builds", "security"];
    const expected = { ops: everything, herald: ["@herald", "builds"], reader: ["@reader", "builds"] };
    for (const [agent, channels] of Object.entries(expected)) {
      const token = await tokenOf(bus, agent);
      const headers = { Authorization: `Bearer ${token}` };
      const get = async (path: string) => Object((await ask(server.url, `GET ${path}`, { headers })).json);
      assert.deepEqual(named(await get("/channels"), "channel"), channels, `/channels of ${agent}`);
      assert.deepEqual(named((await get("/status")).channels, "channel"), channels, `/status of ${agent}`);
      assert.deepEqual(named(await snapshot(server.url, headers), "channel"), channels, `/events of ${agent}`);
      const flows = new Set(named((await get("/traffic")).flows, "channel"));
      assert.deepEqual([...flows], channels, `/traffic of ${agent}`);
      const mailboxes = channels.filter((channel) => channel.startsWith("@")).map((channel) => channel.slice(1));
      assert.deepEqual(named((await get("/mailboxes")).mailboxes, "mailbox"), mailboxes, `/mailboxes of ${agent}`);

      using socket = await connectWebSocket(server.port, { headers });
      socket.say({ type: "ask", id: 1, ask: "channels" });
      assert.deepEqual(named((await socket.nextOf("answer")).answer, "channel"), channels);
      using line = await connectLines(tcpPort);
      line.say({ id: 1, token, ask: "channels" });
      assert.deepEqual(named((await line.next()).answer, "channel"), channels);
      line.say({ id: 2, op: "status" });
      assert.deepEqual(Object.keys(Object((await line.next()).mailboxes)).toSorted(), mailboxes);
    }
  });
});

async function snapshot(url: string, headers: Readonly<Record<string, string>>): Promise<unknown> {
  const controller = new AbortController();
  const stream = await openAnswer(url, "GET /events", { headers, signal: controller.signal });
  stream.on("error", () => {});
  let text = "";
  for await (const chunk of stream.setEncoding("utf8")) {
    text += chunk;
    const data = /^data: (.*)\n\n/m.exec(text)?.[1];
    if (data === undefined) continue;
    controller.abort();
    return JSON.parse(data).data.channels;
  }
  throw new Error("there was no snapshot");
}
