import type { Field } from "../../operations/fields.ts";
import type { Operation } from "../../operations/operation.ts";

export interface Route {
  readonly operation: Operation;
  readonly method: string;
  /** As the table says it; a name for logs and figures that no caller can make up. */
  readonly path: string;
  /** The fields that aren't the same over HTTP. */
  readonly translated: readonly (readonly [string, Field])[];
}

export interface Found {
  readonly route: Route;
  /** What the path itself says, by field. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** The table's routes, looked up by method and path. `path` of an unknown one gives the methods that it does have. */
export interface Routes {
  find(method: string, path: string): Found | undefined;
  methods(path: string): readonly string[];
}

/** The routes that the table has. */
export function routesIn(operations: readonly Operation[]): readonly Route[] {
  return operations.flatMap((operation): Route[] => {
    const [method, path] = operation.http?.split(" ") ?? [];
    const translated = Object.entries(operation.input.fields).filter(
      ([, field]) => field.callerOnly || field.httpMilliseconds,
    );
    return method === undefined || path === undefined ? [] : [{ operation, method, path, translated }];
  });
}

export function routesOf(operations: readonly Operation[]): Routes {
  const routes = routesIn(operations);
  const exact = new Map(routes.filter(({ path }) => !path.includes(":")).map((r) => [`${r.method} ${r.path}`, r]));
  const patterns = routes
    .filter(({ path }) => path.includes(":"))
    .map((route) => ({ route, parts: route.path.split("/") }));

  const anyones = new Map(
    [...exact.values()]
      .filter(({ method, operation }) => method === "GET" && operation.access.level === "anyone")
      .map((route): [string, Found] => [route.path, { route, parameters: {} }]),
  );

  const byPattern = (path: string): Found[] => {
    const given = path.split("/");
    return patterns.flatMap(({ route, parts }) => {
      const parameters = matched(parts, given);
      return parameters === undefined ? [] : [{ route, parameters }];
    });
  };

  return {
    find(method, path) {
      // What anyone may ask changes nothing, and monitors ask for its head alone.
      if (method === "HEAD") return anyones.get(path);
      const route = exact.get(`${method} ${path}`);
      if (route !== undefined) return { route, parameters: {} };
      return byPattern(path).find((found) => found.route.method === method);
    },
    methods: (path) => [
      ...routes.filter((route) => route.path === path).map((route) => route.method),
      ...byPattern(path).map((found) => found.route.method),
    ],
  };
}

function matched(parts: readonly string[], given: readonly string[]): Record<string, string> | undefined {
  if (parts.length !== given.length) return undefined;
  const parameters: Record<string, string> = {};
  for (const [index, part] of parts.entries()) {
    const text = given[index] ?? "";
    if (!part.startsWith(":")) {
      if (part !== text) return undefined;
      continue;
    }
    parameters[part.slice(1)] = text;
  }
  return parameters;
}
