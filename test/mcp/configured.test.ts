import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Client, SSEClientTransport, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { placeKeys, secureBus, type TemporaryBus, temporaryBus } from "../support/bus.ts";
import { manual } from "../support/manual.ts";
import { blocksOf } from "../support/markdown.ts";
import { entry, environmentOf, type Server } from "../support/program.ts";

interface Configured {
  readonly type?: "http" | "sse";
  readonly url?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly command?: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** The manual's configuration, as it would be typed for this bus. */
function shown(bus: TemporaryBus, server: Server): readonly Configured[] {
  return blocksOf(manual.textOf("docs/mcp.md"))
    .filter(({ language }) => language === "json")
    .flatMap(({ text }) => {
      const here = text
        .replaceAll(/https:\/\/bus\.example\.org|http:\/\/localhost:9100/g, server.url)
        .replaceAll(/\/home\/me\/[\w./-]+\/herald\.key/g, bus.file("herald.key"))
        .replaceAll(`\${IPC_API_KEY}`, "secret");
      return Object.values<Configured>(JSON.parse(here).mcpServers);
    });
}

function transportOf({ type, url = "", headers = {}, command, args = [], env = {} }: Configured, bus: TemporaryBus) {
  const requestInit = { headers: { ...headers } };
  if (type === "http") return new StreamableHTTPClientTransport(new URL(url), { requestInit });
  if (type === "sse") return new SSEClientTransport(new URL(url), { requestInit });
  assert.equal(command, "el-ipc");
  const environment = { ...environmentOf({ ...bus.environment, ...env }) };
  return new StdioClientTransport({ command: process.execPath, args: [entry, ...args], env: environment });
}

suite("what the manual shows to configure", () => {
  for (const mode of ["open", "secure"] as const) {
    test(`B11 each configuration reaches the bus, in ${mode} mode`, async () => {
      using bus = mode === "open" ? temporaryBus() : await secureBus("herald");
      if (mode === "open") placeKeys(bus, "herald");
      await using open = await bus.serve();
      await using keyed = await bus.serve({ IPC_API_KEY: "secret" });
      for (const [index, { headers }] of shown(bus, open).entries()) {
        const configured = shown(bus, headers === undefined ? open : keyed)[index];
        assert.ok(configured);
        const client = new Client({ name: "test", version: "1" });
        await client.connect(transportOf(configured, bus));
        const { content, isError } = await client.callTool({ name: "connect", arguments: { role: `role-${index}` } });
        await client.close();
        const signs = configured.env?.IPC_KEY !== undefined;
        assert.equal(isError === true, mode === "secure" && !signs, JSON.stringify([configured, content]));
      }
    });
  }
});
