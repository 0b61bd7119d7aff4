import type { Server } from "node:net";
import { invalid } from "../core/errors.ts";

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/i;

/** Takes a host without its port; an IPv6 address may be in brackets. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host);
}

/** Takes a socket's remote address. An IPv6 socket shows IPv4 addresses as `::ffff:127.0.0.1`. */
export function isLoopbackAddress(address: string | undefined): boolean {
  return address !== undefined && isLoopback(address.replace(/^::ffff:/, ""));
}

/** Takes a Host header, with or without a port. */
export function isLoopbackAuthority(authority: string | undefined): boolean {
  const [, host] = /^([^:]+|\[[^\]]*\])(:\d{1,5})?$/.exec(authority ?? "") ?? [];
  return host !== undefined && isLoopback(host);
}

/** Refuses to listen where strangers could reach an open bus. */
export function checkListenAddress(
  host: string,
  { hasKey, secure, insecure }: { hasKey: boolean; secure: boolean; insecure: boolean },
): void {
  if (isLoopback(host) || hasKey || secure || insecure) return;
  throw invalid(
    `listening on ${host} would let anyone who reaches this machine read and write: set IPC_API_KEY, seed an operator, or use --insecure`,
  );
}

export interface ListeningServer extends AsyncDisposable {
  readonly port: number;
}

/** Resolves to the port once the server listens. Rejects if it can't. */
export function listen(server: Server, { host, port }: { host: string; port: number }): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, host, backlog: 4_096 }, () => {
      server.off("error", reject);
      const address = server.address();
      resolve(typeof address === "object" ? (address?.port ?? port) : port);
    });
  });
}

/** An address at which a server that listens on all addresses of this machine can be reached. */
export function reachableHost(host: string): string {
  return host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
}
