import type { KeyObject } from "node:crypto";
import { invalid } from "../core/errors.ts";
import { TOKEN_SECONDS } from "../core/limits.ts";
import { createStamp } from "../core/signature.ts";
import { parseRequest, type Request, type Signer } from "../operations/operation.ts";
import type { Ask } from "../operations/perform.ts";
import { showHealth } from "../operations/watching.ts";

/** The DIDs of servers seen before, so that an impostor gets no messages signed for them. */
export interface KnownServers {
  /** The DID that a server had when something was first signed for it. */
  serverDid(url: string): string | undefined;
  addServer(url: string, did: string): boolean;
  readonly serversFile: string;
}

export interface Signing {
  readonly key: KeyObject;
  /** Asks the bus that the signatures are for. */
  readonly ask: Ask;
  /** The bus's address, if it is behind a server. */
  readonly url: string | undefined;
  readonly knownServers: KnownServers;
  /** Shows the user a warning. */
  readonly warn: (sentence: string) => void;
  /** Ends the requests that signing makes. */
  readonly signal: AbortSignal;
}

export function createSigner({ key, ask, url, knownServers, warn, signal }: Signing): Signer {
  let did: Promise<string> | undefined;
  const audience = () => {
    did ??= askDid(ask, signal).then((did) => (url === undefined ? did : checkServer(knownServers, url, did, warn)));
    return did;
  };
  return {
    key,
    audience,
    stamp: async () => createStamp(await audience(), Date.now()),
    async token(agent, seconds) {
      const { createToken } = await import("../core/token.ts");
      return createToken({ agent, key, audience: await audience(), seconds, now: Date.now() / 1_000 });
    },
    ask: (request) => ask(request, signal),
  };
}

/** The asker: IPC_AGENT, else the agent that the request names. In a signed request, the name wins. */
export function askerOf({ operation, input }: Request, self: string | undefined): unknown {
  const field = operation.signature?.by ?? operation.input.self;
  const named = field === undefined ? undefined : input[field];
  return operation.access.level === "signed" ? named : (self ?? named);
}

/** Makes a token for the asker; undefined in open mode. */
export async function tokenFor(asker: unknown, signer: Signer | undefined): Promise<string | undefined> {
  if (signer === undefined || (await signer.audience()) === "") return undefined;
  return typeof asker === "string" ? await signer.token(asker, TOKEN_SECONDS) : undefined;
}

async function askDid(ask: Ask, signal: AbortSignal): Promise<string> {
  const { did } = await ask(parseRequest(showHealth, {}), signal);
  if (did === undefined) return "";
  if (DID.test(did)) return did;
  throw invalid("The server doesn't say who it is in a way that can be trusted: its did is not a did:key");
}

/** A DID is written to a line of the file, so it must contain no line end. */
const DID = /^did:key:z[1-9A-HJ-NP-Za-km-z]{40,60}$/;

/** Compares a server's DID with its previous one, and remembers that of a new server. */
function checkServer(servers: KnownServers, url: string, did: string, warn: (text: string) => void): string {
  const { protocol, host, pathname } = new URL(url);
  const server = `${protocol}//${host}${pathname.replace(/\/$/, "")}`;
  const known = servers.serverDid(server);
  if (known === undefined && did !== "" && !servers.addServer(server, did)) {
    warn(`Warning: ${servers.serversFile} can't be written, so nobody will notice if another server answers there`);
  }
  if (known === undefined || known === did) return did;
  throw invalid(
    `The server at ${server} was ${known} and now says that it is ${did || "nobody, in open mode"}: nothing is signed for it. ` +
      `If that is right, remove its line from ${servers.serversFile}`,
  );
}

/** Whether the answer to a request depends on who asks. */
export function needsIdentity({ operation, input }: Request): boolean {
  const { level, dependsOnCaller } = operation.access;
  return level !== "anyone" || (dependsOnCaller?.(input) ?? false);
}

/** Whether a request needs a token: unless the asker doesn't matter, or a signature proves who it is. */
export function needsToken(request: Request): boolean {
  const { operation, input } = request;
  const isSigned = input.signature !== undefined || input.operator_signature !== undefined;
  return needsIdentity(request) && !(operation.access.level === "signed" && isSigned);
}
