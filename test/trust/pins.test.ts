import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { suite, test } from "node:test";
import { didOf } from "../support/identity.ts";
import { type Bus, openBus, secureBus, succeeded } from "../support/secure-bus.ts";

const noted = (bus: Bus) => readFileSync(bus.file(".config/el-ipc/servers"), "utf8");

/** A server of nobody's that says of itself what it is told to, by path; and what it was asked. */
async function impostor(dids: Readonly<Record<string, string | undefined>>) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const did = dids[request.url ?? ""];
    response.end(JSON.stringify({ status: "ok", pending: 0, secure_mode: true, did, ok: true, id: 1 }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
  return {
    url,
    asked,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

suite("the servers that a client signs for", { concurrency: 4 }, () => {
  test("a server's DID is noted by its address when it is first signed for, in a folder for its owner alone", async () => {
    using bus = await secureBus();
    await using server = await bus.serve();
    const words = ["builds", "herald", "x", "--key", bus.keyOf(bus.herald), "--url", server.url];
    await succeeded(bus.run("send", ...words));
    await succeeded(bus.run("send", ...words));
    assert.equal(noted(bus), `${server.url} ${bus.did}\n`);
    assert.equal(statSync(bus.file(".config/el-ipc")).mode & 0o777, 0o700);
    assert.equal(statSync(bus.file(".config/el-ipc/servers")).mode & 0o777, 0o600);
    const elsewhere = bus.file("xdg");
    await succeeded(bus.runWith({ XDG_CONFIG_HOME: elsewhere }, "send", ...words));
    assert.equal(readFileSync(bus.file("xdg/el-ipc/servers"), "utf8"), noted(bus));
  });

  test("another operator's server at the same address gets nothing signed, until its line is removed", async () => {
    using bus = await secureBus();
    using other = openBus();
    await succeeded(other.run("seed", "somebody"));
    const key = bus.keyOf(bus.herald);
    let url = "";
    {
      await using server = await bus.serve();
      url = server.url;
      await succeeded(bus.run("send", "builds", "herald", "x", "--key", key, "--url", url));
    }
    await using program = other.start("serve", new URL(url).port);
    await program.untilLogged("listening");
    const refused = await bus.run("send", "builds", "herald", "secret", "--key", key, "--url", url);
    assert.deepEqual([refused.code, refused.stdout], [1, ""]);
    assert.match(
      refused.stderr,
      /^Error: The server at http:\/\/127\.0\.0\.1:\d+ was did:key:z\S+ and now says that it is did:key:z\S+: nothing is signed for it\. If that is right, remove its line from \S+servers\n$/,
    );
    const token = await bus.run("token", "herald", "--key", key, "--url", url);
    assert.match(token.stderr, /nothing is signed for it/);
    const unchanged = await bus.run("read", "builds", "herald", "--key", key, "--url", url);
    assert.match(unchanged.stderr, /nothing is signed for it/);

    bus.write(".config/el-ipc/servers", "");
    const unknown = await bus.run("send", "builds", "herald", "x", "--key", key, "--url", url);
    assert.match(unknown.stderr, /unknown sender: herald/);
  });

  test("a server that was secure and now claims to be open gets nothing signed either", async () => {
    using bus = await secureBus();
    await using server = await impostor({});
    const key = bus.keyOf(bus.herald);
    await using real = await bus.serve();
    await succeeded(bus.run("send", "builds", "herald", "x", "--key", key, "--url", real.url));
    bus.write(".config/el-ipc/servers", `${server.url} ${bus.did}\n`);
    const refused = await bus.run("send", "builds", "herald", "x", "--key", key, "--url", server.url);
    assert.match(refused.stderr, /now says that it is nobody, in open mode: nothing is signed for it/);
    assert.deepEqual(server.asked, ["GET /health"]);
  });

  test("only a did:key is noted and signed for: other text could forge another server's line", async () => {
    using bus = await secureBus();
    const victim = "https://bus.example.org";
    await using server = await impostor({ "/health": `${bus.did}\n${victim} ${bus.did}` });
    const refused = await bus.run("send", "c", "herald", "x", "--key", bus.keyOf(bus.herald), "--url", server.url);
    assert.match(refused.stderr, /^Error: .*its did is not a did:key/);
    assert.throws(() => noted(bus), /ENOENT/);
    assert.deepEqual(server.asked, ["GET /health"]);
  });

  test("two buses behind one host are two", async () => {
    using bus = await secureBus();
    const another = didOf(bus.scout);
    await using server = await impostor({ "/one/health": bus.did, "/two/health": another });
    const send = (path: string) =>
      bus.run("send", "c", "herald", "x", "--key", bus.keyOf(bus.herald), "--url", server.url + path);
    for (const path of ["/one", "/two/", "/one/", "/two"]) await succeeded(send(path));
    assert.equal(noted(bus), `${server.url}/one ${bus.did}\n${server.url}/two ${another}\n`);
  });
});
