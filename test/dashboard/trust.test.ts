import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { Browser } from "playwright-core";
import { expectSuccess, secureBus, temporaryBus } from "../support/bus.ts";
import { ask, openAnswer } from "../support/http.ts";
import { waitUntil } from "../support/program.ts";
import { live, panel, skip, startBrowser, visit } from "./browser.ts";
import { sessionsOn, tokenOf } from "./bus.ts";

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

suite("the page's files", { concurrency: 4 }, () => {
  test("B10 come with a policy that lets nothing in but themselves, and are asked for again each time", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    for (const [path, type] of [
      ["", "text/html; charset=utf-8"],
      ["/dashboard.js", "text/javascript; charset=utf-8"],
      ["/dashboard.css", "text/css; charset=utf-8"],
    ]) {
      const { status, headers, text } = await ask(server.url, `GET /dashboard${path}`);
      assert.deepEqual([status, headers["content-type"]], [200, type]);
      assert.ok(String(headers["content-security-policy"]).startsWith(POLICY));
      assert.equal(headers["x-content-type-options"], "nosniff");
      assert.doesNotMatch(text, /<script>|<style|\son\w+="|https?:\/\/(?!www\.w3\.org)[a-z]+\.(com|net|org)\//);
      const again = await ask(server.url, `GET /dashboard${path}`, {
        headers: { "If-None-Match": headers.etag ?? "" },
      });
      assert.deepEqual([again.status, again.text], [304, ""]);
      const zipped = await ask(server.url, `HEAD /dashboard${path}`, { headers: { "Accept-Encoding": "gzip" } });
      assert.deepEqual([zipped.status, zipped.headers["content-encoding"], zipped.text], [200, "gzip", ""]);
    }
  });

  test("are three, and only read", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const statusOf = async (what: string) => (await ask(server.url, what)).status;
    assert.equal(await statusOf("GET /dashboard/../package.json"), 404);
    assert.equal(await statusOf("GET /dashboard/ipc-server.js"), 404);
    assert.equal(await statusOf("GET /dashboards"), 404);
    assert.equal(await statusOf("POST /dashboard"), 405);
    const { status, headers } = await ask(server.url, "GET /dashboard/");
    assert.deepEqual([status, headers.location], [308, "../dashboard"]);
  });

  test("are shown to whoever has no API key yet; nothing else is", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve({ IPC_API_KEY: "opensesame" });
    const statuses = await Promise.all(
      ["/dashboard", "/dashboard/dashboard.js", "/events", "/status", "/rights"].map(
        async (path) => (await ask(server.url, `GET ${path}`)).status,
      ),
    );
    assert.deepEqual(statuses, [200, 200, 401, 401, 401]);
  });
});

suite("at the dashboard", { skip, concurrency: 2 }, () => {
  let browser: Browser;
  before(async () => {
    browser = await startBrowser();
  });
  after(() => browser.close());

  test("nothing that anybody says runs, is taken for markup, or breaks the layout", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const { say, connect, order, take, post } = sessionsOn(server);
    const hostile = [
      `<img src=x onerror="window.owned=1"><script>window.owned=1</script><svg onload="window.owned=1"></svg>`,
      `javascript:window.owned=1 {{constructor.constructor('window.owned=1')()}} \${window.owned=1}`,
      "left \u202egnp.exe right \u0007 bell \u001b[31mred \ufeff",
      "w".repeat(100_000),
      "e\u0301\u0302\u0303\u0304\u0305".repeat(500),
      `</pre></li></ul></section><h1>gone</h1><style>*{display:none!important}</style>`,
    ];
    const role = "<b>boss</b>\u202e";
    const peer = await connect(role, hostile[0]?.slice(0, 150) ?? "", "\u202ereversed");
    for (const text of hostile) await say("<i>builds</i>", role, text);
    await say(
      "<i>builds</i>",
      "x".repeat(200),
      JSON.parse('{"__proto__": {"toString": 1}, "constructor": null, "dangerouslySetInnerHTML": {"__html": "<b>"}}'),
    );
    await post(`/signals/${encodeURIComponent("<u>sig</u>")}`, { data: hostile, from: role });
    await order(role, peer, "<s>act</s>", { hostile });
    await post(`/commands/${await take(peer)}/ack`, { result: hostile });
    await using opened = await visit(browser, server.url);
    const { page } = opened;
    await live(page);
    await page.getByRole("option").filter({ hasText: "<i>builds</i>" }).click();
    await page.getByRole("article").getByText('"dangerouslySetInnerHTML"').waitFor();
    await page.locator(".messages > ul").focus();
    await page.keyboard.press("Home");
    await page.getByRole("article").getByText("<svg onload=").waitFor();
    await page.getByText("left \\u202egnp.exe right \\u0007 bell \\u001b[31mred \\ufeff").first().waitFor();
    const made = await page.evaluate(
      "document.querySelectorAll('#page :is(img, svg, script, style, b, i, u, s, h1 ~ h1)').length + (window.owned ?? 0)",
    );
    assert.equal(made, 0);
    assert.equal(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), true);
    const wide =
      "[...document.querySelectorAll('.panel li')].filter((row) => row.scrollWidth > row.clientWidth + 1).length";
    assert.equal(await page.evaluate(wide), 0, "no row is wider than its list");
    await page.getByRole("article").filter({ hasText: "wwwwwwww" }).getByText("100 k characters in all").waitFor();
    await page.getByRole("article").filter({ hasText: "wwwwwwww" }).getByRole("button", { name: "Show more" }).click();
    await waitUntil(
      async () =>
        Number(
          await page.evaluate(
            "Math.max(...[...document.querySelectorAll('article pre')].map((pre) => pre.textContent.length))",
          ),
        ) >= 50_000,
      "more is shown",
    );
  });

  test("in secure mode a human signs in with a token, and what they may not do isn't offered", async () => {
    using bus = await secureBus("ada", "herald");
    await using server = await bus.serve();
    await expectSuccess(bus.run("send", "builds", "herald", "signed", "--key", bus.file("herald.key")));
    await using opened = await visit(browser, server.url, { expects: /403/ });
    const { page } = opened;
    await panel(page, "Channels").getByRole("article").getByText("signed").first().waitFor();
    await page.getByText("Sign in with a token to write here").waitFor();
    await page.getByText("Sign in with a token to send commands").waitFor();
    assert.equal(await page.getByRole("button", { name: "Send" }).count(), 0);
    const dialog = page.getByRole("dialog");
    await page.getByRole("button", { name: "Sign in" }).click();
    await dialog.getByLabel("Token or API key").fill("not.a.token");
    await dialog.getByRole("button", { name: "Sign in" }).click();
    await dialog.getByRole("alert").getByText("this token is not accepted").waitFor();
    await dialog.getByLabel("Token or API key").fill(await tokenOf(bus, server, "ada"));
    await dialog.getByRole("button", { name: "Sign in" }).click();
    await dialog.waitFor({ state: "hidden" });
    await panel(page, "Channels").getByLabel("Message to builds").fill("by ada");
    await panel(page, "Channels").getByRole("button", { name: "Send" }).click();
    const own = panel(page, "Channels").getByRole("article", { name: /from ada/ });
    await own.getByText("by ada").waitFor();
    await own.getByText("attested").waitFor();
    await panel(page, "Commands").getByRole("button", { name: "Send command" }).waitFor();
    assert.equal(await page.evaluate("Object.values(localStorage).join().includes('ey') || document.cookie"), "");
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByText("Sign in with a token to write here").waitFor();
    assert.equal(await page.evaluate("sessionStorage.length"), 0);
  });

  test("behind an API key it asks for that first, and shows nothing before", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve({ IPC_API_KEY: "opensesame" });
    await sessionsOn(server, { Authorization: "Bearer opensesame" }).say("builds", "herald", "secret");
    await using opened = await visit(browser, server.url, { expects: /401/ });
    const { page } = opened;
    await page.getByText("This bus is shown to those who sign in").waitFor();
    assert.equal(await page.getByText("secret").count(), 0);
    const dialog = page.getByRole("dialog");
    await page.getByRole("button", { name: "Sign in" }).first().click();
    await dialog.getByLabel("Token or API key").fill("wrong");
    await dialog.getByLabel("Token or API key").press("Enter");
    await dialog.getByRole("alert").getByText("unauthorized").waitFor();
    await dialog.getByLabel("Token or API key").fill("opensesame");
    await dialog.getByLabel("Token or API key").press("Enter");
    await page.getByRole("article").getByText("secret").waitFor();
    await live(page);
  });
});

test("an agent's token shows neither others' mailboxes nor the alarms, in the stream, the status and the figures", async () => {
  using bus = await secureBus("ada", "herald");
  await using server = await bus.serve({ IPC_READ_AUTH: "required" });
  const headers = { Authorization: `Bearer ${await tokenOf(bus, server, "ada")}` };
  const sent = (channel: string, text: string) =>
    expectSuccess(bus.run("send", channel, "herald", text, "--key", bus.file("herald.key")));
  await sent("@ops", "for ops, from before");
  await ask(server.url, "GET /status");
  const stream = await openAnswer(server.url, "GET /events", { headers });
  let told = "";
  stream.setEncoding("utf8").on("data", (text: string) => {
    told += text;
  });
  stream.on("error", () => {});
  await waitUntil(() => told.includes("snapshot"), "a snapshot");
  await sent("@ops", "for ops");
  await sent("@ada", "for ada");
  await waitUntil(() => told.includes("for ada"), "what is for ada");
  stream.destroy();
  assert.doesNotMatch(told, /@ops|for ops|"security"/);
  const { text } = await ask(server.url, "GET /status", { headers });
  assert.doesNotMatch(text, /@ops|"security"/);
  const traffic = await ask(server.url, "GET /traffic", { headers });
  assert.deepEqual(
    Object(traffic.json).flows.map(({ channel }: { channel: string }) => channel),
    ["@ada"],
  );
  const { json } = await ask(server.url, "GET /rights", { headers });
  assert.deepEqual(Object(json).may, ["anyone", "signed", "reader", "actor"]);
});
