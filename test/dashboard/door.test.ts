import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, suite, test } from "node:test";
import type { Browser } from "playwright-core";
import { expectSuccess, secureBus, temporaryBus } from "../support/bus.ts";
import { ask } from "../support/http.ts";
import { live, panel, seriousFaults, skip, startBrowser, visit } from "./browser.ts";
import { tokenOf } from "./bus.ts";

const ELSEWHERE = { "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document" };

test("a link on another site opens the page, and nothing else of the server", async () => {
  using bus = temporaryBus();
  await using server = await bus.serve();
  const asked = async (what: string, headers = {}) =>
    (await ask(server.url, what, { headers: { ...ELSEWHERE, ...headers } })).status;
  assert.equal(await asked("GET /dashboard"), 200);
  for (const what of ["/status", "/events", "/messages?channel=builds&agent=reader", "/dashboards"])
    assert.equal(await asked(`GET ${what}`), 403, what);
  assert.equal(await asked("POST /dashboard"), 405);
  assert.equal(await asked("POST /send", { Origin: "https://example.org" }), 403);
});

suite("the dashboard's door", { skip, concurrency: 2 }, () => {
  let browser: Browser;
  before(async () => {
    browser = await startBrowser();
  });
  after(() => browser.close());

  test("opens to a link on another site, and not into a frame of it", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const other = createServer((_, response) =>
      response
        .setHeader("Content-Type", "text/html")
        .end(`<a href="${server.url}/dashboard">the bus</a><iframe src="${server.url}/dashboard"></iframe>`),
    );
    const port = await new Promise<number>((resolve) =>
      other.listen(0, "127.0.0.1", () => resolve(Number(Object(other.address()).port))),
    );
    try {
      const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, colorScheme: "light" });
      const page = await context.newPage();
      const framed = new Promise<string>((resolve) =>
        page.on("console", (message) => {
          if (message.type() === "error") resolve(message.text());
        }),
      );
      await page.goto(`http://localhost:${port}`);
      assert.match(await framed, /frame-ancestors 'none'/);
      await page.getByText("the bus").click();
      await live(page);
      await context.close();
    } finally {
      other.closeAllConnections();
      other.close();
    }
  });

  test("closes when a token runs out, and opens to the next with everything as it was", async () => {
    using bus = await secureBus("ada", "herald");
    await using server = await bus.serve({ IPC_READ_AUTH: "required" });
    await expectSuccess(bus.run("send", "builds", "herald", "signed", "--key", bus.file("herald.key")));
    await expectSuccess(bus.run("send", "@ada", "herald", "for ada alone", "--key", bus.file("herald.key")));
    await using opened = await visit(browser, server.url, { expects: /40[13]/ });
    const { page } = opened;
    const signIn = async (token: string) => {
      await page.getByRole("button", { name: "Sign in" }).first().click();
      await page.getByLabel("Token or API key").fill(token);
      await page.getByLabel("Token or API key").press("Enter");
    };
    await page.getByText("This bus is shown to those who sign in").waitFor();
    assert.equal(await page.getByRole("region").count(), 0);
    assert.equal(await page.evaluate("document.querySelector('.sign-in-prompt button').offsetHeight < 40"), true);
    assert.deepEqual(await seriousFaults(page), []);
    await signIn(await tokenOf(bus, server, "ada", 12));
    const channels = panel(page, "Channels");
    await channels.getByRole("option").filter({ hasText: "@ada" }).click();
    await channels.getByRole("article").getByText("for ada alone").waitFor();
    await channels.getByLabel("Message to @ada").fill("half a thou");
    await page.getByText("You are signed out: this token is not accepted: it has expired").waitFor({ timeout: 20_000 });
    await channels.getByText("Sign in with a token to write here").waitFor();
    assert.equal(await page.getByRole("button", { name: "Send command" }).count(), 0);

    await signIn(await tokenOf(bus, server, "ada"));
    await live(page);
    assert.equal(await channels.getByLabel("Message to @ada").inputValue(), "half a thou");
    await channels.getByRole("article").getByText("for ada alone").waitFor();

    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByText("This bus is shown to those who sign in").waitFor();
    assert.equal(await page.getByText("for ada alone").count(), 0);
  });

  test("takes no token that would travel in plain text", async () => {
    using bus = await secureBus("ada");
    await using server = await bus.serve();
    const beyond = server.url.replace("127.0.0.1", "0.0.0.0");
    await using opened = await visit(browser, beyond, { expects: /40[13]|Cross-Origin-Opener-Policy/ });
    const { page, asked } = opened;
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByLabel("Token or API key").fill(await tokenOf(bus, server, "ada"));
    await page.getByLabel("Token or API key").press("Enter");
    await page.getByRole("alert").getByText("A token is sent over https, or to this machine").waitFor();
    assert.equal(asked.filter((request) => request === "GET /rights").length, 0);
  });

  test("shows whoever comes next nothing of what it showed the one before", async () => {
    using bus = await secureBus("ada", "herald");
    await using server = await bus.serve();
    await expectSuccess(bus.run("send", "builds", "herald", "for everybody", "--key", bus.file("herald.key")));
    await expectSuccess(bus.run("send", "@ops", "herald", "for ops alone", "--key", bus.file("herald.key")));
    await using opened = await visit(browser, server.url, { expects: /403/ });
    const { page } = opened;
    await panel(page, "Channels").getByRole("article").getByText("for ops alone").waitFor();
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByLabel("Token or API key").fill(await tokenOf(bus, server, "ada"));
    await page.getByLabel("Token or API key").press("Enter");
    await panel(page, "Channels").getByRole("article").getByText("for everybody").waitFor();
    await panel(page, "Live activity").getByText("for everybody").waitFor();
    assert.equal(await page.getByText(/@ops|for ops alone/).count(), 0);
  });
});
