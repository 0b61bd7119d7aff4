import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { listToolOperations } from "../../src/operations/index.ts";
import { describeTool, isTool } from "../../src/surfaces/mcp/tools.ts";

const MAX_TOKENS = 2_500;
const CHARACTERS_A_TOKEN = 4;

suite("the tools are the table's", () => {
  const tools = listToolOperations().filter(isTool);

  test("all of them together cost a model less than 2,500 tokens", () => {
    const told = tools
      .map(describeTool)
      .map(({ name, description, inputSchema }) => ({ name, description, inputSchema }));
    const tokens = Math.ceil(JSON.stringify(told).length / CHARACTERS_A_TOKEN);
    assert.ok(tokens < MAX_TOKENS, `${tokens} tokens`);
  });

  test("each has a name of its own, and each of its arguments", () => {
    const names = tools.map(({ tool }) => tool.name);
    assert.equal(new Set(names).size, names.length);
    for (const operation of tools) {
      const { properties, required = [] } = describeTool(operation).inputSchema;
      const given = Object.values(operation.tool.arguments).length;
      assert.equal(Object.keys(properties).length, given + 1, operation.name);
      for (const name of required) assert.ok(name in properties, name);
    }
  });

  test("each takes a peer_id, for clients without a session", () => {
    for (const operation of tools)
      assert.deepEqual(describeTool(operation).inputSchema.properties.peer_id, { type: "string" });
  });

  test("B48 whatever a tool does can be done over HTTP too, but for what opens ports of a machine", () => {
    for (const { name, http, tool } of tools.filter(({ name }) => name !== "ipc")) {
      assert.ok(http, name);
      if (tool.fallback !== undefined) assert.ok(tool.fallback.http, tool.fallback.name);
    }
  });

  test("hints follow from what the access table asks", () => {
    const hints = Object.fromEntries(
      tools.map((operation) => [operation.tool.name, describeTool(operation).annotations]),
    );
    assert.deepEqual(hints.reset_broker, { destructiveHint: true });
    assert.deepEqual(hints.list_peers, { readOnlyHint: true });
    assert.deepEqual(hints.ack_command, { destructiveHint: false, idempotentHint: true });
    assert.deepEqual(hints.send_command, { destructiveHint: false });
  });
});
