import { Agent, request } from "node:http";

/** A few requests, one after the other on one connection. For many there is workers/http-load.ts. */
export interface Requests extends Disposable {
  get(path: string): Promise<string>;
  post(path: string, body: object): Promise<string>;
}

export function requestsTo(port: number): Requests {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask = (method: string, path: string, body?: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const headers = body === undefined ? {} : { "Content-Length": Buffer.byteLength(body) };
      const asking = request({ agent, host: "127.0.0.1", port, method, path, headers }, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("error", reject);
        response.on("end", () => {
          if (response.statusCode === 200) resolve(text);
          else reject(new Error(`${method} ${path} was answered with ${response.statusCode}: ${text}`));
        });
      });
      asking.on("error", reject);
      asking.end(body);
    });
  return {
    get: (path) => ask("GET", path),
    post: (path, body) => ask("POST", path, JSON.stringify(body)),
    [Symbol.dispose]: () => agent.destroy(),
  };
}
