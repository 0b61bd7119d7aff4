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
    `listening on ${host} would let anyone who reaches this machine read and write: set IPC_API_KEY, seed an operator, or say --insecure`,
  );
}

export function listeningPort(address: { readonly port: number } | string | null): number {
  if (typeof address === "object" && address !== null) return address.port;
  throw new Error("the server has no port");
}
