import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { Browser } from "playwright-core";
import { temporaryBus } from "../support/bus.ts";
import { waitUntil } from "../support/program.ts";
import { live, panel, skip, startBrowser, visit } from "./browser.ts";
import { connectedLongAgo, sessionsOn } from "./bus.ts";

suite("the dashboard shows", { skip, concurrency: 2 }, () => {
  let browser: Browser;
  before(async () => {
    browser = await startBrowser();
  });
  after(() => browser.close());

  test("B5 B10 at /dashboard what was there before it was opened, and what happened last", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const { connect, say, post } = sessionsOn(server);
    await connect("backend", "node");
    await say("builds", "herald", "main is green");
    await post("/signals/ready", { data: { port: 7400 }, from: "backend" });
    await using opened = await visit(browser, server.url);
    const { page } = opened;
    await live(page);
    await panel(page, "Peers").getByText("backend", { exact: true }).waitFor();
    await panel(page, "Channels").getByRole("article").getByText("main is green").waitFor();
    await panel(page, "Signals").getByText('{"port": 7400}').waitFor();
    await panel(page, "Live activity").getByText("to builds").waitFor();
  });

  test("B41 peers: role, capabilities, when they were last seen, what they wait for; those that are gone as gone", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const { connect } = sessionsOn(server);
    const old = await connectedLongAgo(bus, "tester", 1_000);
    await using opened = await visit(browser, server.url);
    const { page } = opened;
    const peers = panel(page, "Peers");
    const gone = peers.getByRole("listitem").filter({ hasText: old });
    await gone.getByText("gone", { exact: true }).waitFor();
    assert.match(await gone.innerText(), /seen 17\smin ago/);
    const id = await connect("backend", "node", "docker");
    const row = peers.getByRole("listitem").filter({ hasText: id });
    await row.waitFor();
    assert.match(await row.innerText(), /backend[\s\S]*online[\s\S]*seen now[\s\S]*can node, docker/);
    const waiting = fetch(`${server.url}/commands/${id}/wait?timeout=1500`);
    await row.getByText("waits for commands").waitFor();
    await waiting;
    await row.getByText("online", { exact: true }).waitFor();
    await fetch(`${server.url}/peers/${id}`, { method: "DELETE" });
    await row.waitFor({ state: "detached" });
  });

  test("B42 channels: click to read, search as one types, what is unread for whom, and who has read what", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const { say, read } = sessionsOn(server);
    for (const text of ["one", "two", "three"]) await say("builds", "herald", text);
    await say("design", "herald", "a plan");
    await read("builds", "reader", 1);
    await using opened = await visit(browser, server.url);
    const { page } = opened;
    const channels = panel(page, "Channels");
    const builds = channels.getByRole("option").filter({ hasText: "builds" });
    await builds.click();
    await channels.getByRole("article").getByText("three").waitFor();
    assert.match(await builds.innerText(), /unread reader 2/);
    await channels.getByRole("article").filter({ hasText: "one" }).getByText("read by reader").waitFor();
    await say("builds", "herald", "four");
    await channels.getByRole("article").getByText("four").waitFor();
    await builds.getByText("reader 3").waitFor();
    await read("builds", "reader");
    await builds.getByText("all read").waitFor();
    await channels.getByRole("article").filter({ hasText: "four" }).getByText("read by reader").waitFor();
    await channels.getByLabel("Find a channel").fill("DES");
    await builds.waitFor({ state: "detached" });
    assert.equal(await channels.getByRole("option").count(), 1);
    await channels.getByLabel("Find a channel").press("Enter");
    await channels.getByRole("article").getByText("a plan").waitFor();
    await channels.getByLabel("Find a channel").press("Escape");
    await builds.click();
    await channels.getByRole("article").getByText("four").waitFor();
    await channels.getByLabel("Search messages").fill("HRE");
    await channels.getByText("1 of 4 messages").waitFor();
    assert.deepEqual(await channels.locator("mark").allInnerTexts(), ["hre"]);
  });

  test("B43 signals with their data, as they are set, set again and cleared", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const { post } = sessionsOn(server);
    await using opened = await visit(browser, server.url);
    const signals = panel(opened.page, "Signals");
    await signals.getByText("No signal is set").waitFor();
    await post("/signals/build_ready", { data: { commit: "9b9bd3b" }, from: "backend" });
    const row = signals.getByRole("listitem").filter({ hasText: "build_ready" });
    await row.getByText('{"commit": "9b9bd3b"}').waitFor();
    assert.match(await row.innerText(), /backend · now/);
    await post("/signals/build_ready", { data: { commit: "c8e8337" }, from: "backend" });
    await row.getByText("c8e8337").waitFor();
    assert.equal(await signals.getByRole("listitem").count(), 1);
    await fetch(`${server.url}/signals/build_ready`, { method: "DELETE" });
    await row.waitFor({ state: "detached" });
  });

  test("B44 live activity: everything as it happens, paused and filtered", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const { connect, say, post, order } = sessionsOn(server);
    await using opened = await visit(browser, server.url);
    await live(opened.page);
    const activity = panel(opened.page, "Live activity");
    const id = await connect("backend");
    await say("builds", "herald", "green");
    await post("/signals/go", { data: 1 });
    await order("human", id, "stop");
    for (const text of [
      `${id} connected as backend`,
      "herald to builds green",
      "human set go 1",
      `human sent stop to ${id}`,
    ])
      await activity.getByRole("listitem").filter({ hasText: text }).waitFor();
    await activity.getByRole("button", { name: "Pause" }).click();
    await say("builds", "herald", "red");
    await activity.getByRole("button", { name: "Resume (1 new)" }).waitFor();
    assert.equal(await activity.getByText("red").count(), 0);
    await activity.getByRole("button", { name: "Resume" }).click();
    await activity.getByText("red").waitFor();
    await activity.getByLabel("Messages").uncheck();
    await waitUntil(async () => (await activity.getByText("red").count()) === 0, "messages are left out");
    await activity.getByLabel("Filter activity").fill("STOP");
    await waitUntil(async () => (await activity.getByRole("listitem").count()) === 1, "only what was searched for");
  });

  test("pictures: messages per minute, who talks to whom, waiting times", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const { connect, say, read, order, take, post } = sessionsOn(server);
    const peer = await connect("backend");
    for (const text of ["one", "two"]) await say("builds", "herald", text);
    await read("builds", "reader");
    await order("human", peer, "start");
    await post(`/commands/${await take(peer)}/ack`, { result: true });
    await using opened = await visit(browser, server.url);
    const pictures = panel(opened.page, "Pictures");
    await pictures.getByRole("img", { name: /Messages per minute\. 3 messages in the last hour/ }).waitFor();
    await say("builds", "herald", "three");
    await pictures.getByRole("img", { name: /4 messages in the last hour/ }).waitFor();
    assert.ok(Number(await opened.page.evaluate("document.querySelector('.pictures canvas').width")) > 300);
    await pictures.getByRole("radio", { name: "Who talks to whom" }).check();
    const cells = () => pictures.getByRole("row").allInnerTexts();
    await waitUntil(
      async () => (await cells()).some((row) => /^herald\s+3$/.test(row)),
      "herald told reader three things",
    );
    await pictures.getByRole("radio", { name: "to channels" }).check();
    await waitUntil(async () => (await cells()).some((row) => /activity/.test(row)), "the channels are columns");
    await pictures.getByRole("radio", { name: "by command" }).check();
    await waitUntil(async () => (await cells()).some((row) => /^human\s+1$/.test(row)), "one command by a human");
    await pictures.getByRole("radio", { name: "Waiting times" }).check();
    await pictures.getByRole("img", { name: /Waiting times of commands\. 1 done/ }).waitFor();
  });
});
