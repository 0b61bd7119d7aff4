import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { jsonOf, repository } from "./plugin/support.ts";
import { temporaryHome } from "./support/agent-msg.ts";
import { blocksOf, codeIn, rowsOf, section } from "./support/markdown.ts";

const textOf = (...path: string[]) => readFileSync(join(repository, ...path), "utf8");
const recipes = textOf("docs/recipes/server.md");
const guide = textOf("docs/agent-msg.md");

/** The options of each of agent-msg's commands, with their letters. */
async function optionsByCommand(): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  using home = temporaryHome();
  const commands = [...(await home.prints("--help")).matchAll(/^ {2}([a-z]+) \[options\]/gm)].map(
    ([, name = ""]) => name,
  );
  assert.equal(commands.length, 8);
  return new Map(
    await Promise.all(
      commands.map(async (name) => {
        const help = section(
          `# ${(await home.prints(name, "--help")).replace("\n\nOptions:", "\n# Options\n")}`,
          "Options",
        );
        const options = [...help.matchAll(/^ {2}(?:(-\w), )?(--[a-z]+)/gm)].flatMap(([, short, long]) => [short, long]);
        return [name, new Set(options.filter((option) => option !== undefined))] as const;
      }),
    ),
  );
}

suite("what the documents say of agent-msg", () => {
  test("each command that they show has the options that it is shown with", async () => {
    const options = await optionsByCommand();
    let shown = 0;
    for (const document of [
      "docs/agent-msg.md",
      "docs/recipes/server.md",
      "docs/recipes/other-agents.md",
      "docs/sockets.md",
    ]) {
      const blocks = blocksOf(textOf(document)).map(({ text }) => text.replace(/"[^"\n]*"/g, '""'));
      for (const [, name = "", rest = ""] of blocks.join("\n").matchAll(/\bagent-msg ([a-z]+)((?: [^\s|;&<]+)*)/g)) {
        const known = options.get(name);
        if (known === undefined) continue;
        shown++;
        for (const [option] of rest.matchAll(/(?<= )--?[a-z]+/g))
          assert.ok(known.has(option), `${document}: ${name} ${option}`);
      }
    }
    assert.ok(shown > 15);
  });

  test("the tables have every command and every option, of the commands that have it, with its default", async () => {
    const options = await optionsByCommand();
    const rows = rowsOf(section(guide, "Commands"));
    const commands = rows
      .filter(([first = ""]) => !first.startsWith("`-"))
      .map(([first = ""]) => /`(\w+)/.exec(first)?.[1]);
    assert.deepEqual(commands.toSorted(), [...options.keys(), "help"].toSorted());
    const listed = rows
      .filter(([first = ""]) => first.startsWith("`-"))
      .flatMap(([first = "", of = ""]) => {
        const long = /--[a-z]+/.exec(first)?.[0];
        return codeIn(of).map((command) => `${command} ${long}`);
      });
    const known = [...options].flatMap(([command, all]) =>
      [...all]
        .filter((option) => option.startsWith("--") && option !== "--help")
        .map((option) => `${command} ${option}`),
    );
    assert.deepEqual(listed.toSorted(), known.toSorted());
  });
});

suite("the recipes for a server", () => {
  const has = (text: string, ...parts: readonly (string | RegExp)[]) => {
    for (const part of parts) assert.ok(typeof part === "string" ? text.includes(part) : part.test(text), String(part));
  };

  test("M27 M31 M32 say what is needed, how to run it, and how to reach it from elsewhere", () => {
    has(
      recipes,
      "Node.js\n22.14 or newer",
      "18790",
      "agent-msg server",
      "npm install -g github:mividtim/claude-code-el-ipc",
    );
    has(section(recipes, "Across machines"), "-u ws://YOUR_VPS_IP:18790", "-w --wait");
  });

  test("M28 open the port with ufw, firewalld and iptables", () => {
    has(
      section(recipes, "Opening the port to everybody"),
      "ufw allow 18790/tcp",
      "firewall-cmd --permanent --add-port=18790/tcp",
      "firewall-cmd --reload",
      "iptables -A INPUT -p tcp --dport 18790 -j ACCEPT",
    );
  });

  test("M29 M30 keep it running with PM2 and with systemd", () => {
    const text = section(recipes, "Install and run");
    has(text, 'pm2 start "agent-msg server" --name agent-msg-server', "pm2 save", "pm2 startup");
    has(
      text,
      "Restart=always",
      "WantedBy=multi-user.target",
      "systemctl enable --now agent-msg",
      /^ExecStart=.* server$/m,
    );
  });

  test("M35 lead through an SSH tunnel", () => {
    has(section(recipes, "SSH tunnel"), "ssh -N -L 18790:127.0.0.1:18790", "-u ws://127.0.0.1:18790");
  });

  test("M36 put nginx before it, which refuses who doesn't show the token", () => {
    const text = section(recipes, "Reverse proxy with TLS");
    has(text, "x_agent_token", "return 403", "proxy_set_header Upgrade $http_upgrade", "listen 443 ssl");
    has(text, "wss://your-domain.com/agent-msg", '--header "x-agent-token: YOUR_SECRET_TOKEN"');
  });

  test("M37 M38 allow addresses, and compare the three ways", () => {
    has(
      section(recipes, "IP allowlist"),
      "ufw deny 18790/tcp",
      "allow from AGENT_IP_1",
      "--dport 18790 -j DROP",
      "--host 0.0.0.0",
    );
    const rows = rowsOf(recipes).map(([first = ""]) => first);
    for (const way of ["SSH tunnel", "Reverse proxy", "IP allowlist"])
      assert.ok(
        rows.some((row) => row.includes(way)),
        way,
      );
  });
});

test("M2 there is a change log and a document of test results, and `npm test` runs the tests", () => {
  assert.ok(existsSync(join(repository, "CHANGELOG.md")));
  const results = textOf("docs/TEST_RESULTS.md");
  assert.match(results, /`npm test`/);
  for (const [, path = ""] of results.matchAll(/`(test\/[\w./-]+)`/g))
    assert.ok(existsSync(join(repository, path)), path);
  const manifest = jsonOf("package.json");
  assert.match(String(Object(Object(manifest).scripts).test), /test:only/);
});

test("the library's page shows JavaScript that can be read", () => {
  for (const { language, text } of blocksOf(textOf("docs/library.md"))) {
    if (language !== "js") continue;
    assert.doesNotThrow(
      () => Reflect.construct((async () => {}).constructor, [text.replace(/^import .*$/m, "")]),
      text,
    );
  }
});
