// What Node's own server can do with the same requests: it parses the JSON and answers, and keeps nothing.
import { createServer } from "node:http";
import { say } from "./rounds.ts";

let id = 0;

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const { channel, sender, content } = JSON.parse(Buffer.concat(chunks).toString());
    const body = JSON.stringify({ ok: Boolean(channel && sender && content), id: ++id });
    response.writeHead(200, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) });
    response.end(body);
  });
});

server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (typeof address === "object" && address !== null) say({ port: address.port });
});
