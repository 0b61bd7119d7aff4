import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { blocksOf } from "./support/markdown.ts";
import { run } from "./support/program.ts";

const text = readFileSync(new URL("../docs/agent-msg.md", import.meta.url), "utf8");
const entry = fileURLToPath(new URL("../sources.d/agent-msg.js", import.meta.url));
const shells = blocksOf(text)
  .filter(({ language }) => language === "console")
  .map((block) => block.text)
  .join("\n");

test("M15 M25 M31 M32 each command of agent-msg in its document has verbs and options that there are", async () => {
  const { stdout: help } = await run(["--help"], {}, { entry });
  const known = new Set(help.match(/(?<![\w-])--?[a-z][a-z-]*/g));
  const verbs = new Set([...help.matchAll(/^ {2}agent-msg (\w+)/gm)].map(([, verb]) => verb));
  const shown = [...shells.matchAll(/\bagent-msg ([a-z]+)((?: +(?:"[^"]*"|[^\s"|;]+))*)/g)];
  assert.ok(shown.length > 8);
  for (const [whole, verb, rest = ""] of shown) {
    assert.ok(verbs.has(verb), whole);
    const options = rest.replace(/"[^"]*"/g, "").match(/(?<= )--?[a-z][a-z-]*/g) ?? [];
    for (const option of options) if (!["--name"].includes(option)) assert.ok(known.has(option), `${whole}: ${option}`);
  }
});

test("M20 M27 M28 M37 the port is the server's, in each recipe of a firewall", () => {
  for (const firewall of [
    "ufw allow 18790/tcp",
    "firewall-cmd --permanent --add-port=18790/tcp",
    "iptables -A INPUT -p tcp --dport 18790",
  ]) {
    assert.ok(shells.includes(firewall), firewall);
  }
  assert.match(text, /ufw allow from \S+ to any port 18790 proto tcp/);
  assert.deepEqual(new Set(text.match(/\b18\d{3}\b/g)), new Set(["18790"]));
});

test("M29 M30 it is kept running by PM2 or systemd", () => {
  assert.match(shells, /pm2 start "agent-msg server" --name agent-msg-server\n\$ pm2 save\n\$ pm2 startup/);
  assert.match(text, /^ExecStart=\S*agent-msg server$/m);
  assert.match(text, /^Restart=always$/m);
});

test("M35 M36 M38 a tunnel, a proxy that answers 403 without its token, and what tells them apart", () => {
  assert.match(shells, /ssh -N -L 18790:127\.0\.0\.1:18790 /);
  assert.match(text, /http_x_agent_token != "a-long-random-token"\) \{ return 403; \}/);
  assert.match(shells, /-u wss:\/\/\S+\/agent-msg --header "x-agent-token: a-long-random-token"/);
  for (const way of ["SSH tunnel", "Proxy with TLS", "Allowlist"]) assert.ok(text.includes(`| ${way} |`), way);
});
