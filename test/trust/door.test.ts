import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { createServer } from "node:http";
import { connect, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { after, suite, test } from "node:test";
import { impatientServer } from "../support/clock.ts";
import { askObject, objectIn, objectsIn, openAnswer } from "../support/http.ts";
import { signV1, signV2, stampFor, tokenOf } from "../support/identity.ts";
import { eventually, openBus, type Server, secureBus } from "../support/secure-bus.ts";

const bus = openBus();
const server = await bus.serve();
after(async () => {
  await server[Symbol.asyncDispose]();
  bus[Symbol.dispose]();
});

const KEY = "an-api-key-of-thirty-two-characters";
const body = { channel: "builds", sender: "a", content: "x" };

/** The answer to these bytes, until the other end closes or a while has passed. */
function said(port: number, bytes: string, milliseconds = 2_000): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes, "latin1"));
    let answer = "";
    const end = () => {
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(end, milliseconds);
    socket.setEncoding("latin1").on("data", (text) => {
      answer += text;
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(answer);
    });
    socket.on("end", end);
  });
}

function statusIn(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1]);
}

suite("web pages", { concurrency: 4 }, () => {
  test("a page whose name was rebound to this machine reads and writes nothing", async () => {
    const headers = { Host: "evil.example:9876", Origin: "http://evil.example:9876" };
    for (const what of ["GET /messages?channel=builds&agent=a", "GET /channels", "GET /agents", "GET /metrics"]) {
      const { status, json } = await server.ask(what, { headers });
      assert.deepEqual(
        [status, status === 403 && String(json.error).includes("beyond this machine")],
        [403, what !== "GET /metrics"],
      );
    }
    for (const what of ["POST /send", "POST /reset", "POST /ack"]) {
      assert.equal((await server.ask(what, { headers, body: { ...body, agent: "a", id: 1 } })).status, 403, what);
    }
    assert.equal((await server.ask("GET /health", { headers })).status, 200);
  });

  test("D17 a foreign page is refused whatever it asks, and so are its forms", async () => {
    const { port } = server;
    const origins = [
      "http://evil.example",
      "null",
      `http://localhost:${port + 1}`,
      `http://127.0.0.1.evil.example:${port}`,
    ];
    for (const Origin of origins) {
      for (const type of ["application/json", "text/plain", "application/x-www-form-urlencoded"]) {
        for (const what of ["POST /send", "POST /reset"]) {
          const headers = { Origin, "Content-Type": type };
          const { status, json } = await server.ask(what, { headers, body });
          assert.deepEqual([status, json.reason], [403, "from_beyond"], `${what} from ${Origin}`);
        }
      }
      assert.equal((await server.ask("GET /health", { headers: { Origin } })).status, 403);
    }
    const own = { Origin: `http://127.0.0.1:${port}` };
    assert.equal(
      (await server.ask("POST /send", { headers: own, body: { ...body, channel: "own-page" } })).status,
      200,
    );
  });

  test("a page's image, link or script consumes nobody's messages: browsers name no origin for these", async () => {
    await server.ask("POST /send", { body: { ...body, channel: "precious" } });
    const read = "GET /messages?channel=precious&agent=herald";
    for (const site of ["cross-site", "same-site"]) {
      for (const mode of ["no-cors", "navigate"]) {
        const headers = { "Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode };
        assert.equal((await server.ask(read, { headers })).status, 403, `${site} ${mode}`);
      }
    }
    assert.equal((await server.ask(`${read}&peek=true`, { headers: { "Sec-Fetch-Site": "none" } })).status, 200);
    const { text } = await server.ask(read, { headers: { "Sec-Fetch-Site": "same-origin" } });
    assert.equal(objectsIn(text).length, 1);
  });

  test("no foreign page can read an answer, and no preflight is granted", async () => {
    for (const what of ["GET /health", "OPTIONS /send", "OPTIONS /health"]) {
      const response = await openAnswer(server.url, what, { headers: { "Access-Control-Request-Method": "POST" } });
      response.resume();
      const granting = Object.keys(response.headers).filter((name) => name.startsWith("access-control"));
      assert.deepEqual(granting, []);
      assert.equal(response.headers["x-content-type-options"], "nosniff");
    }
  });
});

suite("a request from beyond this machine", { concurrency: 4 }, () => {
  test("is one that was forwarded, by whichever header", async () => {
    const names = [
      "Forwarded",
      "Via",
      "X-Forwarded-For",
      "X-Forwarded-Host",
      "X-Forwarded-Proto",
      "X-Forwarded",
      "X-Real-IP",
    ];
    for (const name of [...names, "X-Client-IP", "True-Client-IP", "CF-Connecting-IP"]) {
      const { status, json } = await server.ask("GET /channels", { headers: { [name]: "127.0.0.1" } });
      assert.deepEqual([status, json.reason], [403, "from_beyond"], name);
    }
    for (const Host of [
      "bus.example.org",
      "127.0.0.1.example.org",
      "localhost.example.org",
      "0.0.0.0",
      "192.168.1.7",
    ]) {
      assert.equal((await server.ask("GET /channels", { headers: { Host } })).status, 403, Host);
    }
    for (const Host of ["localhost", "LOCALHOST:9876", "127.0.0.1", "127.9.9.9:80", "[::1]:9876"]) {
      assert.equal((await server.ask("GET /channels", { headers: { Host } })).status, 200, Host);
    }
  });

  test("is one of HTTP/1.0 without such a header, as nginx sends by default", async () => {
    const asking = (version: string) => `GET /channels HTTP/${version}\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`;
    assert.equal(statusIn(await said(server.port, asking("1.0"))), 403);
    assert.equal(statusIn(await said(server.port, asking("1.1"))), 200);
    assert.equal(statusIn(await said(server.port, "GET /channels HTTP/1.0\r\n\r\n")), 403);
  });

  test("is one through a reverse proxy on this machine, let in by its token or key", async () => {
    using secure = await secureBus();
    await using behind = await secure.serve();
    const proxy = createServer(async (request, response) => {
      const text = Buffer.concat(await Array.fromAsync(request)).toString();
      const { authorization } = request.headers;
      const headers = { "X-Forwarded-For": "203.0.113.9", ...(authorization ? { Authorization: authorization } : {}) };
      const question = { headers, ...(text === "" ? {} : { body: text }) };
      const answer = await askObject(behind.url, `${request.method} ${request.url}`, question);
      response.writeHead(answer.status).end(answer.text);
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const address = proxy.address();
    const url = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
    const { herald, did } = secure;
    const read = "GET /messages?channel=builds&agent=herald&peek=true";
    assert.equal((await askObject(url, read)).status, 401);
    assert.equal((await askObject(url, read, { bearer: tokenOf(herald, did) })).status, 200);
    assert.equal((await askObject(url, "POST /send", { body: signV2(herald, body, stampFor(did)) })).status, 200);
    assert.equal((await askObject(url, "POST /send", { body: { ...body, sender: "herald" } })).status, 403);
    proxy.close();
  });

  test("D8 is one to another address of this machine, which reads nothing in open mode", async (context) => {
    const address = Object.values(networkInterfaces())
      .flatMap((one) => one ?? [])
      .find(({ family, internal }) => family === "IPv4" && !internal)?.address;
    if (address === undefined) return context.skip("this machine has no address but its own");
    const closed = connect(server.port, address);
    const refused = await new Promise((resolve) => {
      closed.on("connect", () => resolve(false)).on("error", () => resolve(true));
    });
    closed.destroy();
    assert.equal(refused, true);

    using wide = openBus();
    await using open = await wide.serve({ IPC_API_KEY: KEY }, "--host", "0.0.0.0");
    const url = `http://${address}:${open.port}`;
    const headers = { Host: `localhost:${open.port}` };
    assert.equal((await askObject(url, "GET /channels", { headers })).status, 401);
    assert.equal((await askObject(url, "GET /channels", { headers, bearer: KEY })).status, 200);
    await using insecure = await wide.serve({}, "--host", "0.0.0.0", "--insecure");
    const wideOpen = `http://${address}:${insecure.port}`;
    assert.equal((await askObject(wideOpen, "GET /channels")).status, 200);
    assert.equal((await askObject(wideOpen, "POST /reset", { body: {}, headers })).status, 403);
    using secret = await secureBus();
    await using secure = await secret.serve({}, "--host", "0.0.0.0");
    const asked = await askObject(`http://${address}:${secure.port}`, "GET /channels", { headers });
    assert.equal(asked.status, 401);
    assert.equal((await secure.ask("GET /channels")).status, 200);
  });

  test("D12 a server of an open bus listens on this machine alone, unless it has a key or is told to", async () => {
    using other = openBus();
    for (const host of ["0.0.0.0", "::", "192.0.2.1", "bus.example.org", "::ffff:127.0.0.1"]) {
      const { code, stderr } = await other.run("serve", "0", "--host", host);
      assert.match(
        stderr,
        /^Error: listening on \S+ would let anyone .* set IPC_API_KEY, seed an operator, or use --insecure\n$/,
      );
      assert.equal(code, 1);
    }
    using secure = await secureBus();
    await using wide = await secure.serve({}, "--host", "0.0.0.0");
    assert.equal((await wide.ask("GET /health")).json.secure_mode, true);
  });
});

suite("slow, huge and malformed requests", { concurrency: 3 }, () => {
  const openSockets = async (count: number, to: number, text: string): Promise<Disposable & { sockets: Socket[] }> => {
    const sockets = await Promise.all(
      Array.from({ length: count }, async () => {
        const socket = connect({ port: to, host: "127.0.0.1", allowHalfOpen: true });
        socket.on("error", () => {});
        socket.on("data", () => {});
        await new Promise((resolve) => socket.once("connect", resolve));
        if (text !== "") socket.write(text);
        return socket;
      }),
    );
    return { sockets, [Symbol.dispose]: () => sockets.map((socket) => socket.destroy()) };
  };
  const connectionsOf = ({ child }: Server) => readdirSync(`/proc/${child.pid}/fd`).length;

  test("1,000 silent connections and 200 half requests keep nobody from being answered", async () => {
    using own = openBus();
    await using busy = await own.serve();
    using _ = await openSockets(1_000, busy.port, "");
    using __ = await openSockets(200, busy.port, "POST /send HTTP/1.1\r\nHost: localhost\r\nX-Half: ");
    for (let n = 0; n < 20; n++) {
      assert.equal((await busy.ask("GET /health")).status, 200);
      assert.equal((await busy.ask("POST /send", { body })).status, 200);
    }
  });

  test("a late request is answered and closed, even if the client holds on", async (context) => {
    if (process.platform !== "linux") return context.skip("it counts what /proc says is open");
    using own = openBus();
    await using quick = await own.serve(impatientServer);
    await quick.ask("GET /health");
    const before = connectionsOf(quick);
    using silent = await openSockets(50, quick.port, "");
    using slow = await openSockets(50, quick.port, "POST /send HTTP/1.1\r\nHost: localhost\r\nX-Half: ");
    const half = "POST /send HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n{";
    const answer = said(quick.port, half, 9_000);
    assert.equal(silent.sockets.length + slow.sockets.length, 100);
    await eventually(() => connectionsOf(quick) <= before + 3, "the connections are let go");
    assert.equal(statusIn(await answer), 408);
  });

  test("a body that is too large is refused before it arrives, or as soon as it shows", async () => {
    const declared = `POST /send HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${7 * 1024 * 1024}\r\n\r\n{`;
    assert.equal(statusIn(await said(server.port, declared)), 413);
    const expecting = declared.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    assert.equal(statusIn(await said(server.port, expecting)), 413);
    const chunk = `10000\r\n${" ".repeat(0x10000)}\r\n`;
    const endless = `POST /send HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(110)}`;
    assert.equal(statusIn(await said(server.port, endless, 5_000)), 413);
    const large = { ...body, content: "x".repeat(1024 * 1024 + 1) };
    assert.equal((await server.ask("POST /send", { body: large })).status, 413);
    assert.equal(
      statusIn(await said(server.port, `GET /${"x".repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`)),
      431,
    );
    assert.equal((await server.ask("GET /health")).status, 200);
  });

  test("endless large bodies take bounded memory, and small ones still pass", async () => {
    using own = openBus();
    await using busy = await own.serve();
    const mebibytes = (count: number) => " ".repeat(count * 1024 * 1024);
    const rest = mebibytes(5.8);
    const head = `POST /send HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${rest.length + 100}\r\n\r\n`;
    using _ = await openSockets(22, busy.port, head + rest);
    // Large enough to be too much, and small enough to be sent before the answer comes.
    const large = JSON.stringify(body) + mebibytes(2);
    const refused = async () => {
      const answer = await busy.ask("POST /send", { body: large }).catch(() => undefined);
      return answer?.status === 503;
    };
    await eventually(refused, "a large one is refused");
    assert.equal((await busy.ask("POST /send", { body })).status, 200);
    assert.equal((await busy.ask("GET /health")).status, 200);
  });

  test("an ambiguous request is not read at all", async () => {
    const inner = "POST /reset HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}";
    const head = "POST /send HTTP/1.1\r\nHost: localhost\r\n";
    const crooked = [
      `${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
      `${head}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${inner}`,
      `${head}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${inner}`,
      `${head}Transfer-Encoding: xchunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n${inner}`,
      `${head}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${inner}`,
      `${head}Content-Length: 0\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`,
      `${head}Content-Length: +0\r\n\r\n${inner}`,
      `${head}Content-Length: 0, 2\r\n\r\n${inner}`,
      `${head}Transfer-Encoding: chunked\r\n\r\n1;\n\r\nx\r\n0\r\n\r\n${inner}`,
      `${head}X: a\r\n folded\r\nContent-Length: 0\r\n\r\n${inner}`.replace("X: a\r\n folded", "X: a\n\r\n Y: b"),
      `${head}\0X: y\r\n\r\n${inner}`,
      `POST /send HTTP/1.1\r\n\r\n${inner}`,
      "garbage\r\n\r\n",
    ];
    for (const bytes of crooked) {
      const answer = await said(server.port, bytes);
      assert.equal(statusIn(answer), 400, JSON.stringify(bytes.slice(0, 140)));
      assert.equal(answer.match(/HTTP\/1\.1/g)?.length, 1, JSON.stringify(bytes.slice(0, 140)));
    }
    const absolute = await said(
      server.port,
      "GET http://evil.example/channels HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    assert.equal(statusIn(absolute), 400);
    const twoHosts = "GET /channels HTTP/1.1\r\nHost: evil.example\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert.ok([400, 403].includes(statusIn(await said(server.port, twoHosts))));
  });

  test("a malformed body is refused in words, and isn't logged as a fault", async () => {
    const bodies = ["[]", "null", "7", '"x"', "{", "\u0000", '{"channel":{"toString":1},"sender":"a","content":"x"}'];
    const proto = '{"__proto__":{"channel":"p"},"constructor":{"prototype":{}},"sender":"a","content":"x"}';
    for (const text of [...bodies, proto]) {
      const { status, json } = await server.ask("POST /send", { body: text });
      assert.deepEqual([status, json.code, json.ok], [400, "invalid", false], text);
    }
    const head = "POST /send HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    const invalidUtf8 = await said(server.port, `${head}Content-Length: 2\r\n\r\n\u00c3(`);
    assert.match(invalidUtf8, /the body must be UTF-8/);
    assert.equal(statusIn(invalidUtf8), 400);
    for (const what of ["GET /messages?channel=%FF&agent=a", "GET /messages?channel=a&channel=b&agent=a"]) {
      assert.equal((await server.ask(what)).status, 400, what);
    }
    assert.equal(objectIn((await server.ask("GET /nowhere")).text).error, "not found");
  });
});

suite("the API key", { concurrency: 4 }, () => {
  test("it lets in from anywhere, identifies nobody, and no prefix of it works", async () => {
    using secure = await secureBus();
    const { herald, did } = secure;
    await using guarded = await secure.serve({ IPC_API_KEY: KEY });
    const status = async (bearer: string | undefined, what = "GET /health") =>
      (await guarded.ask(what, { bearer })).status;
    for (const wrong of [undefined, "", KEY.slice(0, -1), `${KEY}x`, KEY.toUpperCase()]) {
      assert.equal(await status(wrong), 401, wrong);
      assert.equal(await status(wrong, "GET /nowhere"), 401, wrong);
    }
    assert.equal(await status(KEY), 200);
    assert.equal(await status(tokenOf(herald, did)), 200);
    const unsigned = await guarded.ask("POST /send", { bearer: KEY, body: { ...body, sender: "herald" } });
    assert.equal(unsigned.status, 403);
    assert.equal((await guarded.ask("POST /send", { body: signV1(herald, body) })).status, 401);
    assert.equal((await guarded.ask("POST /send", { bearer: KEY, body: signV1(herald, body) })).status, 200);
  });
});
