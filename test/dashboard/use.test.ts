import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { type TemporaryBus, temporaryBus } from "../support/bus.ts";
import type { Server } from "../support/program.ts";
import { waitUntil } from "../support/program.ts";
import { live, panel, seriousFaults, skip, startBrowser, visit } from "./browser.ts";
import { connectedLongAgo, sessionsOn } from "./bus.ts";

const VIEWS = ["channels", "channels/builds", "peers", "commands", "signals", "activity", "pictures"];

suite("the dashboard is used", { skip, concurrency: 2 }, () => {
  let browser: Browser;
  let bus: TemporaryBus;
  let server: Server;
  before(async () => {
    browser = await startBrowser();
    bus = temporaryBus();
    server = await bus.serve();
    const { connect, say, read, order, take, post } = sessionsOn(server);
    const peer = await connect("backend", "node", "docker");
    await connect("a-role-with-quite-a-long-name-as-some-have", "and-a-capability-with-a-long-name-too");
    for (const name of ["builds", "design", "a-channel-with-quite-a-long-name-as-some-have"]) {
      await say(name, "herald", `the first in ${name}`);
      await say(name, "somebody-with-a-long-name", { status: "green", files: ["a".repeat(80), "b"] });
    }
    await read("builds", "reader", 1);
    await order("human", peer, "start_server", { port: 7400 });
    await post(`/commands/${await take(peer)}/ack`, { result: { pid: 4711 } });
    await order("human", peer, "reload");
    await post(`/commands/${await take(peer)}/fail`, { error: "no such file" });
    await order("human", peer, "stop");
    await connectedLongAgo(bus, "gone", 9_999);
  });
  after(async () => {
    await browser.close();
    await server[Symbol.asyncDispose]();
    bus[Symbol.dispose]();
  });

  test("in a narrow window: one panel at a time, and nothing to scroll sideways for", async () => {
    for (const width of [320, 768]) {
      await using opened = await visit(browser, server.url, { width, height: 700 });
      const { page } = opened;
      await live(page);
      for (const view of VIEWS) {
        await go(page, view);
        assert.equal(
          await page.evaluate("document.documentElement.scrollWidth <= innerWidth"),
          true,
          `${width} ${view}`,
        );
        assert.equal(
          await page.evaluate(
            "[...document.querySelectorAll('.panel')].filter((panel) => panel.offsetWidth > 0).length",
          ),
          1,
        );
      }
      if (width > 400) continue;
      await go(page, "channels");
      await page.getByRole("option").filter({ hasText: "builds" }).click();
      await page.getByRole("article").getByText("the first in builds").waitFor();
      assert.equal(await page.getByRole("option").filter({ hasText: "builds" }).isVisible(), false);
      await page.getByRole("button", { name: "Back to the channels" }).click();
      await page.getByRole("option").filter({ hasText: "builds" }).waitFor();
    }
  });

  test("by keyboard alone: to a panel, to a channel, to a message and a command", async () => {
    await using opened = await visit(browser, server.url);
    const { page } = opened;
    await live(page);
    // Without channels there is no list to come to.
    await page.getByRole("option").filter({ hasText: "builds" }).waitFor();
    const focused = () =>
      page.evaluate(
        "(document.activeElement.getAttribute('aria-label') || document.activeElement.name || document.activeElement.textContent).trim()",
      );
    await page.keyboard.press("Tab");
    assert.equal(await focused(), "To channels");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    assert.equal(await focused(), "Find a channel");
    await page.keyboard.press("Tab");
    assert.equal(await focused(), "Channels");
    await page.keyboard.press("End");
    await page.keyboard.press("Home");
    const active = () =>
      page.evaluate(
        "document.getElementById(document.activeElement.getAttribute('aria-activedescendant')).textContent",
      );
    const first = await active();
    await page.keyboard.press("ArrowDown");
    await waitUntil(async () => (await active()) !== first, "the next channel is the active one");
    for (let step = 0; step < 4 && !/^builds/.test(String(await active())); step++)
      await page.keyboard.press("ArrowUp");
    for (let step = 0; step < 4 && !/^builds/.test(String(await active())); step++)
      await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "builds" }).waitFor();
    for (let step = 0; step < 6 && (await focused()) !== "Message to builds"; step++) await page.keyboard.press("Tab");
    await page.keyboard.type("typed");
    await page.keyboard.press("Enter");
    await page
      .getByRole("article", { name: /from human/ })
      .getByText("typed")
      .waitFor();
    for (let step = 0; step < 12 && (await focused()) !== "target"; step++) await page.keyboard.press("Tab");
    await page.keyboard.type("backend");
    await page.keyboard.press("Tab");
    await page.keyboard.type("reload");
    await page.keyboard.press("Enter");
    await panel(page, "Commands").getByText("Sent reload to backend").waitFor();
  });

  for (const dark of [false, true]) {
    test(`with nothing serious in anybody's way, as axe sees it, ${dark ? "dark" : "light"}`, async () => {
      await using wide = await visit(browser, server.url, { dark });
      await live(wide.page);
      const { page } = wide;
      await page.locator(".command summary").first().click();
      await page.getByRole("radio", { name: "Who talks to whom" }).check();
      await page.getByRole("cell").first().waitFor();
      await page.getByRole("option").filter({ hasText: "builds" }).click();
      await page.getByLabel("Search messages").fill("the first");
      await page.locator("mark").waitFor();
      await page.getByLabel("Params, as JSON").fill("{");
      await page.locator(".readers summary").click();
      assert.deepEqual(await seriousFaults(page), []);
      await page.getByRole("radio", { name: "Waiting times" }).check();
      await page.locator("canvas").waitFor();
      await page.evaluate("document.querySelector('dialog').showModal()");
      assert.deepEqual(await seriousFaults(page), []);
      await using narrow = await visit(browser, server.url, { dark, width: 390, height: 800 });
      await live(narrow.page);
      for (const view of ["channels/builds", "commands"]) {
        await go(narrow.page, view);
        assert.deepEqual(await seriousFaults(narrow.page), [], view);
      }
    });
  }

  test("in the colours that one chooses, whatever the system has", async () => {
    await using opened = await visit(browser, server.url, { dark: true });
    const { page } = opened;
    const ground = () => page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor");
    const dark = await ground();
    await page.getByLabel("Colours").selectOption("light");
    const light = await ground();
    assert.notEqual(light, dark);
    await page.goto(`${server.url}/dashboard`);
    assert.equal(await ground(), light);
    await page.getByLabel("Colours").selectOption("system");
    assert.equal(await ground(), dark);
  });
});

async function go(page: Page, view: string): Promise<void> {
  await page.evaluate(`location.hash = "#/${view}"`);
  await page.locator(`.app[data-view="${view.replace(/\/.*/, "")}"]`).waitFor();
  await page.evaluate("new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))");
}
