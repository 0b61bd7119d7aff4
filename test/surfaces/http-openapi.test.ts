import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { operations } from "../../src/operations/index.ts";
import type { Operation } from "../../src/operations/operation.ts";
import { temporaryBus } from "../support/bus.ts";
import { ask } from "../support/http.ts";

type Json = Readonly<Record<string, unknown>>;

async function document(): Promise<Json> {
  using bus = temporaryBus();
  await using server = await bus.serve();
  const { status, json, headers } = await ask(server.url, "GET /openapi.json");
  assert.deepEqual([status, headers["content-type"]], [200, "application/json"]);
  return Object(json);
}

/** Every operation of the document, by method and path. */
function described({ paths }: Json): ReadonlyMap<string, Json> {
  return new Map(
    Object.entries(Object(paths)).flatMap(([path, methods]) =>
      Object.entries(Object(methods)).map(([method, told]): [string, Json] => [
        `${method.toUpperCase()} ${path}`,
        Object(told),
      ]),
    ),
  );
}

const shapeOf = (path: string) => path.replace(/:\w+|\{\w+\}/g, "{}");

suite("the OpenAPI document", async () => {
  const api = await document();
  const known = described(api);
  const routes: readonly Operation[] = operations.filter(({ http }: Operation) => http !== undefined);
  const toldOf = (operation: Operation): Json => {
    const found = [...known].find(([path]) => shapeOf(path) === shapeOf(operation.http ?? ""));
    return found?.[1] ?? assert.fail(`${operation.http} is described`);
  };

  test("has every route of the table and the server's own, and no other", () => {
    assert.equal(api.openapi, "3.1.0");
    const expected = [...routes.map(({ http = "" }) => http), "GET /metrics", "GET /openapi.json"];
    assert.deepEqual([...known.keys()].map(shapeOf).toSorted(), expected.map(shapeOf).toSorted());
    const shapes = Object.keys(Object(api.paths)).map(shapeOf);
    assert.equal(new Set(shapes).size, shapes.length, "no two paths differ in their parameters' names alone");
  });

  test("says of each what it takes, where, and what of it is needed", () => {
    for (const operation of routes) {
      const told = toldOf(operation);
      const parameters: readonly Json[] = Object(told.parameters ?? []);
      const schema = Object(told.requestBody).content?.["application/json"].schema ?? {};
      const whole = operation.input.body === undefined ? [] : [operation.input.body];
      const inBody = operation.input.body === undefined ? Object.keys(Object(schema.properties)) : whole;
      const names = [...parameters.map(({ name }) => String(name)), ...inBody];
      const fields = Object.entries(operation.input.fields).filter(([, field]) => !field.callerOnly);
      assert.equal(names.length, fields.length, operation.name);
      const needed = fields.filter(([, { optional }]) => !optional).length;
      const required = parameters.filter((parameter) => parameter.required === true).length;
      const requiredInBody = operation.input.body === undefined ? (schema.required ?? []).length : 1;
      assert.equal(required + requiredInBody, needed, operation.name);
    }
  });

  test("declares each parameter that a path has, under the name that the path gives it", () => {
    for (const [place, { parameters = [] }] of known) {
      const inPath = [...place.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const declared = Object(parameters).filter(({ in: where }: Json) => where === "path");
      assert.deepEqual(
        declared.map(({ name }: Json) => name),
        inPath,
        place,
      );
    }
  });

  test("names each operation once, as the library does", () => {
    const ids = [...known.values()].map(({ operationId }) => String(operationId));
    assert.equal(new Set(ids).size, ids.length);
    assert.ok(["channelSend", "commandWait", "agentCard", "send"].every((id) => ids.includes(id)));
  });

  test("refers to nothing that isn't there", () => {
    for (const [, reference = ""] of JSON.stringify(api).matchAll(/"\$ref":"#\/([^"]+)"/g)) {
      let found: unknown = api;
      for (const part of reference.split("/")) found = Object(found)[part];
      assert.ok(found !== undefined, reference);
    }
  });

  test("describes streams, timeouts, errors and authentication", () => {
    const { content } = Object(toldOf(find("follow")).responses)[200];
    assert.deepEqual(Object.keys(content), ["text/event-stream"]);
    for (const name of ["command wait", "signal wait", "wait"])
      assert.ok(408 in Object(toldOf(find(name)).responses), name);
    for (const name of ["read", "command result"]) assert.ok(!(408 in Object(toldOf(find(name)).responses)), name);
    const { schemas, securitySchemes } = Object(api.components);
    assert.deepEqual(schemas.Error.required, ["ok", "error", "code"]);
    assert.deepEqual(Object.keys(securitySchemes), ["apiKey", "token"]);
    const statuses = Object.keys(Object(toldOf(find("send")).responses));
    assert.deepEqual(statuses, ["200", "400", "401", "403", "404", "409", "413", "500", "503"]);
  });

  test("what it says of a value, the server holds to", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const { parameters } = toldOf(find("read"));
    const limit = Object(parameters).find(({ name }: Json) => name === "limit").schema;
    assert.deepEqual([limit.type, limit.minimum], ["integer", 1]);
    const read = (n: number) => ask(server.url, `GET /messages?channel=c&agent=a&limit=${n}`);
    assert.equal((await read(limit.maximum)).status, 200);
    assert.equal((await read(limit.maximum + 1)).status, 400);
    assert.equal((await read(limit.minimum - 1)).status, 400);
  });

  const find = (name: string): Operation => routes.find((known) => known.name === name) ?? assert.fail(name);
});
