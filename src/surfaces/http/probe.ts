import { request } from "node:http";

const PROBE_MS = 2_000;

/** What the server on a port calls itself; undefined where it isn't HTTP or doesn't say. */
export function productAt(host: string, port: number): Promise<string | undefined> {
  const reachable = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return new Promise((resolve) => {
    const asking = request({ host: reachable, port, path: "/", timeout: PROBE_MS }, (response) => {
      const { server } = response.headers;
      resolve(typeof server === "string" ? server : undefined);
      asking.destroy();
    });
    asking.on("timeout", () => asking.destroy());
    asking.on("error", () => resolve(undefined));
    asking.on("close", () => resolve(undefined));
    asking.end();
  });
}
