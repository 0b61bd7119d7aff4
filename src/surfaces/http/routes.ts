import type { Field } from "../../operations/fields.ts";
import type { Operation } from "../../operations/operation.ts";

export interface Route {
  readonly operation: Operation;
  readonly method: string;
  /** The table's path pattern, which is safe for logs and metrics. */
  readonly path: string;
  /** The fields that differ over HTTP. */
  readonly translated: readonly (readonly [string, Field])[];
}

export interface Found {
  readonly route: Route;
  /** The path's parameters, by field. */
  readonly parameters: Readonly<Record<string, string>>;
}

export interface Routes {
  find(method: string, path: string): Found | undefined;
  methods(path: string): readonly string[];
}

export function routesIn(operations: readonly Operation[]): readonly Route[] {
  return operations.flatMap((operation): Route[] => {
    const [method, path] = operation.http?.split(" ") ?? [];
    const translated = Object.entries(operation.input.fields).filter(
      ([, field]) => field.callerOnly || field.httpMilliseconds,
    );
    return method === undefined || path === undefined ? [] : [{ operation, method, path, translated }];
  });
}

export function createRoutes(operations: readonly Operation[]): Routes {
  const routes = routesIn(operations);
  const exact = new Map(routes.filter(({ path }) => !path.includes(":")).map((r) => [`${r.method} ${r.path}`, r]));
  const patterns = routes
    .filter(({ path }) => path.includes(":"))
    .map((route) => ({ route, parts: route.path.split("/") }));

  const byPattern = (path: string): Found[] => {
    const given = path.split("/");
    return patterns.flatMap(({ route, parts }) => {
      const parameters = matchPath(parts, given);
      return parameters === undefined ? [] : [{ route, parameters }];
    });
  };

  return {
    find(method, path) {
      // A GET for anyone changes nothing, and monitors send HEAD.
      const route = exact.get(`${method === "HEAD" ? "GET" : method} ${path}`);
      if (method === "HEAD" && route?.operation.access.level !== "anyone") return undefined;
      if (route !== undefined) return { route, parameters: {} };
      return byPattern(path).find((found) => found.route.method === method);
    },
    methods: (path) => [
      ...routes.filter((route) => route.path === path).map((route) => route.method),
      ...byPattern(path).map((found) => found.route.method),
    ],
  };
}

function matchPath(parts: readonly string[], given: readonly string[]): Record<string, string> | undefined {
  if (parts.length !== given.length) return undefined;
  const values = parts.map((part, index): [string, string] => [part, given[index] ?? ""]);
  if (values.some(([part, text]) => !part.startsWith(":") && part !== text)) return undefined;
  return Object.fromEntries(values.flatMap(([part, text]) => (part.startsWith(":") ? [[part.slice(1), text]] : [])));
}
