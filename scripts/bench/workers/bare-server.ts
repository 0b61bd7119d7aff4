// What Node's own server can do with the same requests: it parses the JSON and answers, holds back who waits, and keeps nothing.
import { createServer, type ServerResponse } from "node:http";
import { say } from "./rounds.ts";

let id = 0;
const waiting: ServerResponse[] = [];

const server = createServer((request, response) => {
  if (request.method === "GET") {
    waiting.push(response);
    return;
  }
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const { channel, sender, content } = JSON.parse(Buffer.concat(chunks).toString());
    answer(response, JSON.stringify({ ok: Boolean(channel && sender && content), id: ++id }));
    const message = JSON.stringify([{ id, sender, content }]);
    for (const waiter of waiting.splice(0)) answer(waiter, message);
  });
});

server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (typeof address === "object" && address !== null) say({ port: address.port });
});

function answer(response: ServerResponse, body: string): void {
  response.writeHead(200, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) });
  response.end(body);
}
