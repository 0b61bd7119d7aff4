import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { Browser } from "playwright-core";
import { newPeer } from "../contracts/peers.ts";
import { message } from "../contracts/place.ts";
import { type TemporaryBus, temporaryBus } from "../support/bus.ts";
import { type Server, untilListening, waitUntil } from "../support/program.ts";
import { append } from "../support/store.ts";
import { live, panel, skip, startBrowser, visit } from "./browser.ts";
import { busOf, sessionsOn } from "./bus.ts";

suite("the dashboard", { skip, concurrency: 2 }, () => {
  let browser: Browser;
  before(async () => {
    browser = await startBrowser();
  });
  after(() => browser.close());

  test("B46 says when it is disconnected, and after a server's restart goes on by itself with what it missed", async () => {
    using bus = temporaryBus();
    const first = await bus.serve();
    const { connect, say, order } = sessionsOn(first);
    const peer = await connect("backend");
    await say("builds", "herald", "before");
    await order("human", peer, "start");
    await using opened = await visit(browser, first.url, { expects: /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED/ });
    const { page, asked } = opened;
    await panel(page, "Channels").getByRole("article").getByText("before").waitFor();
    first.child.kill("SIGKILL");
    await page.getByText("Disconnected since").waitFor();
    await page.locator(".pill").getByText("disconnected").waitFor();
    const tryNow = page.getByRole("button", { name: "Try now" });
    await tryNow.waitFor();
    await bus.run("send", "builds", "herald", "meanwhile");
    await using second = await untilListening(bus.start(["serve", String(first.port)]));
    // It may go on by itself before anybody has clicked.
    await Promise.race([tryNow.click(), live(page)]);
    await live(page);
    await page.getByText("Disconnected since").waitFor({ state: "detached" });
    await panel(page, "Channels").getByRole("article").getByText("meanwhile").waitFor();
    assert.deepEqual(await panel(page, "Channels").locator("article pre").allInnerTexts(), ["before", "meanwhile"]);
    await panel(page, "Commands").getByRole("listitem").filter({ hasText: "start" }).waitFor();
    await sessionsOn(second).say("builds", "herald", "afterwards");
    await panel(page, "Channels").getByRole("article").getByText("afterwards").waitFor();
    assert.equal(asked.filter((request) => request === "GET /dashboard").length, 1, "the page wasn't loaded again");
  });

  test("B40 begins anew when the bus was cleared", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const { connect, say, order, post } = sessionsOn(server);
    await order("human", await connect("backend"), "start");
    await say("builds", "herald", "before");
    await using opened = await visit(browser, server.url);
    const { page } = opened;
    await panel(page, "Channels").getByRole("article").getByText("before").waitFor();
    await post("/reset", {});
    await panel(page, "Peers").getByText("Nobody is connected").waitFor();
    await panel(page, "Commands").getByText("No commands yet").waitFor();
    await panel(page, "Channels").getByRole("option").waitFor({ state: "detached" });
    await say("builds", "herald", "again");
    await panel(page, "Channels").getByRole("option").filter({ hasText: "builds" }).waitFor();
  });

  test("stays usable with 10,000 messages and 100 peers, and while more come", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve({ IPC_DURABILITY: "normal" });
    await crowd(bus, 10_000, 100);
    await using opened = await visit(browser, server.url);
    const { page } = opened;
    const channels = panel(page, "Channels");
    await channels.getByRole("option").filter({ hasText: "busy" }).click();
    await channels.getByRole("article").getByText("number 9999").waitFor();
    await panel(page, "Peers").getByText("100", { exact: true }).waitFor();
    assert.ok((await rowsOf(page)) < 250, `${await rowsOf(page)} rows are in the document`);

    await channels.locator(".messages > ul").focus();
    await page.keyboard.press("Home");
    await channels.getByRole("button", { name: /newest/ }).waitFor();
    await waitUntil(async () => {
      await page.evaluate("document.querySelector('.messages').scrollTop = 0");
      return (
        (await channels
          .getByRole("article")
          .getByText(/number 7\d\d\d/)
          .count()) > 0
      );
    }, "older messages come as one scrolls back");
    assert.ok((await rowsOf(page)) < 250);
    const height = Number(await page.evaluate("document.querySelector('.messages').scrollHeight"));
    assert.ok(height > 50_000, `a scroll bar for all of them, and not for ${height} pixels`);
    await waitUntil(async () => (await channels.getByText("Loading…").count()) === 0, "nothing is on its way");
    const before = await topOf(page);
    await flood(server, 200, 10_000);
    await channels.getByRole("button", { name: "200 new ↓" }).waitFor();
    assert.deepEqual(await topOf(page), before, "what one reads stays where it is");
    await channels.getByLabel("Search messages").fill("number 4711");
    await channels.getByText(/^1 of [\d,]+ messages/).waitFor();
    await channels.getByLabel("Search messages").fill("");
    await channels.getByRole("article").getByText("number 10199").waitFor();

    const flooding = flood(server, 2_800, 10_200);
    await panel(page, "Live activity").getByRole("button", { name: "Pause" }).click();
    await panel(page, "Live activity")
      .getByRole("button", { name: /Resume/ })
      .waitFor();
    await panel(page, "Pictures").getByRole("radio", { name: "Who talks to whom" }).check();
    await flooding;
    await channels.getByRole("article").getByText("number 12999").waitFor();
    await channels.getByText("13,000 ·").waitFor();
    assert.ok((await rowsOf(page)) < 250);
  });
});

/** Messages and sessions that were there before. */
async function crowd(bus: TemporaryBus, messages: number, peers: number): Promise<void> {
  await using own = await busOf(bus);
  const { store } = own;
  const at = own.now();
  for (let first = 0; first < messages; first += 500) {
    const sending = Array.from({ length: 500 }, (_, offset) => {
      const n = first + offset;
      const content = `number ${n}${" and so on and so forth".slice(0, n % 24)}`;
      return append(store.messages, message("busy", `agent-${n % 30}`, content, at));
    });
    await Promise.all(sending);
  }
  for (let n = 1; n <= peers; n++) {
    const peer = newPeer(`rol-${n}`, { role: `role-${n % 9}`, capabilities: ["shell"], connectedAt: at, lastSeen: at });
    await store.sessions.connect(peer, undefined);
  }
}

/** Many senders at once. */
async function flood({ url }: Server, count: number, from: number): Promise<void> {
  for (let index = from; index < from + count; index += 100) {
    const sending = Array.from({ length: 100 }, async (_, offset) => {
      const body = JSON.stringify({
        channel: "busy",
        sender: `agent-${offset % 30}`,
        content: `number ${index + offset}`,
      });
      await (await fetch(`${url}/send`, { method: "POST", body })).arrayBuffer();
    });
    await Promise.all(sending);
  }
}

async function rowsOf(page: { evaluate(expression: string): Promise<unknown> }): Promise<number> {
  return Number(await page.evaluate("document.querySelectorAll('li').length"));
}

/** The first message in view, and where it stands. */
function topOf(page: { evaluate(expression: string): Promise<unknown> }): Promise<unknown> {
  return page.evaluate(`(() => {
    const box = document.querySelector(".messages").getBoundingClientRect();
    const first = [...document.querySelectorAll(".messages article")].find((row) => row.getBoundingClientRect().bottom > box.top);
    return [first.ariaLabel, Math.round(first.getBoundingClientRect().top)];
  })()`);
}
