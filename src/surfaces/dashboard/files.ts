import type { IncomingMessage, ServerResponse } from "node:http";

/** The page may only load its own script and style, and ask its own server. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

const HEADERS: Readonly<Record<string, string>> = {
  "Content-Security-Policy": POLICY,
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  // Revalidated each time, so that an updated server never shows an older page.
  "Cache-Control": "no-cache",
};

/** The files that scripts/build.ts writes, by their path behind the prefix. */
const FILES: Readonly<Record<string, { readonly name: string; readonly type: string }>> = {
  "": { name: "dashboard.html", type: "text/html; charset=utf-8" },
  "/dashboard.js": { name: "dashboard.js", type: "text/javascript; charset=utf-8" },
  "/dashboard.css": { name: "dashboard.css", type: "text/css; charset=utf-8" },
};

/** Serves the built files of a folder below a path. They hold no data: the page asks for it like any client. */
export function createDashboard({ folder, prefix }: { readonly folder: string; readonly prefix: string }) {
  const loaded = new Map<string, ReturnType<typeof loadFile>>();

  const load = (name: string) => {
    const known = loaded.get(name) ?? loadFile(folder, name);
    loaded.set(name, known);
    known.catch(() => loaded.delete(name));
    return known;
  };

  return async (request: IncomingMessage, response: ServerResponse, { path }: { path: string }): Promise<void> => {
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("Allow", "GET, HEAD");
      return end(response, 405);
    }
    if (path === `${prefix}/`) {
      response.setHeader("Location", `..${prefix}`);
      return end(response, 308);
    }
    const file = FILES[path.slice(prefix.length)];
    if (file === undefined) return end(response, 404);
    const { plain, zipped, etag } = await load(file.name);
    response.setHeader("ETag", etag);
    response.setHeader("Vary", "Accept-Encoding");
    if (request.headers["if-none-match"]?.includes(etag)) return end(response, 304);
    const zips = /\bgzip\b/.test(String(request.headers["accept-encoding"] ?? ""));
    const body = zips ? zipped : plain;
    response.setHeader("Content-Type", file.type);
    response.setHeader("Content-Length", body.length);
    if (zips) response.setHeader("Content-Encoding", "gzip");
    response.end(request.method === "HEAD" ? undefined : body);
  };
}

async function loadFile(folder: string, name: string) {
  const [{ readFile }, { gzipSync }, { createHash }] = await Promise.all([
    import("node:fs/promises"),
    import("node:zlib"),
    import("node:crypto"),
  ]);
  const plain = await readFile(`${folder}/${name}`);
  const etag = `"${createHash("sha256").update(plain).digest("base64url").slice(0, 22)}"`;
  return { plain, zipped: gzipSync(plain), etag };
}

function end(response: ServerResponse, status: number): void {
  response.statusCode = status;
  response.end();
}
