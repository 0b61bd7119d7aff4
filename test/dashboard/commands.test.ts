import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { Browser } from "playwright-core";
import { temporaryBus } from "../support/bus.ts";
import { live, panel, skip, startBrowser, visit } from "./browser.ts";
import { sessionsOn } from "./bus.ts";

suite("a human at the dashboard", { skip, concurrency: 2 }, () => {
  let browser: Browser;
  before(async () => {
    browser = await startBrowser();
  });
  after(() => browser.close());

  test("B45 B6 orders, with params that are checked before they are sent, and sees each state and the result", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const { connect, take, post, get } = sessionsOn(server);
    const peer = await connect("backend");
    await using opened = await visit(browser, server.url);
    const commands = panel(opened.page, "Commands");
    await commands.getByLabel("Target").fill("backend");
    await commands.getByLabel("Action").fill("start_server");
    await commands.getByLabel("Params, as JSON").fill('{"port": 7400');
    await commands.getByText("This is not JSON").waitFor();
    await commands.getByRole("button", { name: "Send command" }).click();
    assert.equal(await opened.page.evaluate("document.activeElement.name"), "params");
    assert.deepEqual((await get("/commands")).commands, []);
    await commands.getByLabel("Params, as JSON").fill('{"port": 7400}');
    await commands.getByLabel("Action").press("Enter");
    await commands.getByText("Sent start_server to backend").waitFor();
    const row = commands.getByRole("listitem").filter({ hasText: "start_server" });
    await row.getByText("pending", { exact: true }).waitFor();
    const id = await take(peer);
    await row.getByText("leased", { exact: true }).waitFor();
    await post(`/commands/${id}/ack`, { result: { pid: 4711 } });
    await row.getByText("acknowledged", { exact: true }).waitFor();
    assert.match(await row.innerText(), /human → bac-[\s\S]*\{"port": 7400\} ⇒ \{"pid": 4711\}/);
    await row.getByRole("button", { name: "Use again: start_server" }).click();
    assert.equal(await commands.getByLabel("Params, as JSON").inputValue(), '{"port": 7400}');
  });

  test("B45 sends again what failed, is told why something can't be sent, and chooses what is listed", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const { connect, order, take, post } = sessionsOn(server);
    const peer = await connect("backend");
    await order("human", peer, "reload");
    await post(`/commands/${await take(peer)}/fail`, { error: "no such file" });
    await order("human", peer, "other");
    await using opened = await visit(browser, server.url, { expects: /404/ });
    const commands = panel(opened.page, "Commands");
    await commands.getByRole("radio", { name: "Failed" }).check();
    const row = commands.getByRole("listitem");
    await row.getByText("failed", { exact: true }).waitFor();
    assert.equal(await row.count(), 1);
    await row.locator("summary").click();
    await row.locator("pre").filter({ hasText: '{"error": "no such file"}' }).waitFor();
    await row.getByRole("button", { name: "Send again: reload" }).click();
    await commands.getByText("No command is in that state").waitFor();
    await commands.getByRole("radio", { name: "Pending" }).check();
    await commands.getByText("reload").waitFor();
    await panel(opened.page, "Peers")
      .getByRole("button", { name: `Command ${peer}` })
      .click();
    assert.equal(await commands.getByLabel("Target").inputValue(), peer);
    await commands.getByLabel("Target").fill("nobody");
    await commands.getByLabel("Action").fill("stop");
    await commands.getByRole("button", { name: "Send command" }).click();
    await commands.getByRole("alert").getByText("There is no session and no role nobody").waitFor();
  });

  test("B47 B46 watches four sessions at work, and orders two of them, without a refresh and without polling", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const { connect, take, post } = sessionsOn(server);
    await using opened = await visit(browser, server.url);
    const { page, asked } = opened;
    await live(page);
    for (const role of ["orchestrator", "linux-client", "backend", "broker"]) {
      await connect(role);
      await panel(page, "Peers").getByText(role, { exact: true }).waitFor();
    }
    const commands = panel(page, "Commands");
    const done = async (role: string, action: string, params: string, result: unknown) => {
      await commands.getByLabel("Target").fill(role);
      await commands.getByLabel("Action").fill(action);
      await commands.getByLabel("Params, as JSON").fill(params);
      await commands.getByRole("button", { name: "Send command" }).click();
      const row = commands.getByRole("listitem").filter({ hasText: action });
      await row.getByText("pending").waitFor();
      const peer = /→ ([a-z]{3}-[0-9a-f]{6})/.exec(await row.innerText())?.[1] ?? "";
      await post(`/commands/${await take(peer)}/ack`, { result });
      await row.getByText("acknowledged").waitFor();
      await panel(page, "Signals").getByText(`${action}_done`, { exact: true }).waitFor();
      await panel(page, "Live activity").getByText(`${peer} acknowledged ${action}`).waitFor();
      await panel(page, "Channels").getByRole("article").getByText(`"action": "${action}"`).waitFor();
    };
    await done("backend", "start_server", '{"port": 7400}', { listening: true });
    await done("linux-client", "connect_and_test", '{"ip": "192.168.1.5", "port": 7400}', { ok: true });
    const followed = asked.filter((request) => request.startsWith("GET /events") && !request.includes("since"));
    assert.equal(followed.length, 1, "one stream told all of it");
    const allowed = /^(GET \/(dashboard|events|rights|traffic|channels\/activity\/messages)|POST \/commands\/send$)/;
    assert.deepEqual(
      asked.filter((request) => !allowed.test(request)),
      [],
    );
    assert.ok(asked.length < 14, asked.join("\n"));
  });

  test("writes a message, as text or as JSON, under a name of their own", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const { say, get } = sessionsOn(server);
    await say("builds", "herald", "anybody there?");
    await using opened = await visit(browser, server.url);
    const { page } = opened;
    const channels = panel(page, "Channels");
    await page.getByLabel("You are").fill("Ada");
    await page.getByLabel("You are").press("Enter");
    const message = channels.getByLabel("Message to builds");
    await message.fill("line one");
    await message.press("Shift+Enter");
    await page.keyboard.type("line two");
    await message.press("Enter");
    await channels
      .getByRole("article", { name: /from Ada/ })
      .getByText("line two")
      .waitFor();
    await channels.getByLabel("JSON").check();
    await message.fill("{oops");
    await channels.getByRole("button", { name: "Send" }).click();
    await channels.getByRole("alert").getByText("This is not JSON").waitFor();
    await message.fill('{"ok": true}');
    await channels.getByRole("button", { name: "Send" }).click();
    await channels.getByRole("article").getByText('{"ok": true}').waitFor();
    await channels.getByLabel("Find a channel").fill("a new one");
    await channels.getByRole("button", { name: /Write to a new channel/ }).click();
    await channels.getByLabel("JSON").uncheck();
    await channels.getByLabel("Message to a new one").fill("first!");
    await channels.getByRole("button", { name: "Send" }).click();
    await channels.getByRole("article").getByText("first!").waitFor();
    const { messages } = await get("/channels/builds/messages");
    assert.ok(Array.isArray(messages));
    assert.deepEqual(
      messages.map(({ from, data }) => [from, data]),
      [
        ["herald", "anybody there?"],
        ["Ada", "line one\nline two"],
        ["Ada", { ok: true }],
      ],
    );
  });
});
