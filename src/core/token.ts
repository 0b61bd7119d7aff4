import type { KeyObject } from "node:crypto";
import { decodeJwt, errors, jwtVerify, SignJWT } from "jose";
import type { Identity } from "./access.ts";
import type { Bus } from "./bus.ts";
import { getBusDid } from "./card.ts";
import { IpcError, invalid } from "./errors.ts";
import { registeredKey } from "./keys.ts";
import { TOKEN_SECONDS } from "./limits.ts";

export interface TokenRequest {
  readonly agent: string;
  readonly key: KeyObject;
  /** The bus's DID. */
  readonly audience: string;
  readonly seconds: number;
  /** Seconds since 1970. */
  readonly now: number;
}

const ALGORITHM = "EdDSA";

/** Allowed difference between two clocks. */
const TOLERANCE_SECONDS = 30;

/** A self-issued token: an agent identifies itself to one bus, for a limited time, under its own key. */
export function createToken({ agent, key, audience, seconds, now }: TokenRequest): Promise<string> {
  if (audience === "") throw invalid("a bus in open mode asks for no token, and has no DID to make one for");
  const issued = Math.floor(now);
  return new SignJWT()
    .setProtectedHeader({ alg: ALGORITHM, typ: "JWT" })
    .setIssuer(agent)
    .setSubject(agent)
    .setAudience(audience)
    .setIssuedAt(issued)
    .setExpirationTime(issued + Math.ceil(seconds))
    .sign(key);
}

/** Refuses tokens for another bus, under another key, or valid for too long. */
export async function verifyToken(bus: Bus, token: string): Promise<Identity> {
  const audience = await getBusDid(bus);
  if (audience === undefined) throw tokenRefusedError("this bus is in open mode and takes none");
  const claimed = readSubject(token);
  const agent = claimed === undefined ? undefined : await bus.store.agents.find(claimed);
  const key = agent && registeredKey(agent.publicKey);
  if (agent === undefined || key === undefined) throw tokenRefusedError("nobody of that name is registered");
  const { exp } = await checkClaims(token, key, { audience, agent: agent.name, now: bus.now() });
  return { agent: agent.name, operator: agent.role === "operator", expires: exp };
}

async function checkClaims(
  token: string,
  key: KeyObject,
  { audience, agent, now }: { audience: string; agent: string; now: number },
) {
  try {
    const { payload } = await jwtVerify(token, key, {
      algorithms: [ALGORITHM],
      audience,
      issuer: agent,
      subject: agent,
      requiredClaims: ["exp"],
      clockTolerance: TOLERANCE_SECONDS,
      currentDate: new Date(now * 1_000),
    });
    const { exp = 0, iat = 0 } = payload;
    if (exp <= now) throw tokenRefusedError("it has expired");
    if (exp - now > TOKEN_SECONDS + TOLERANCE_SECONDS) throw tokenRefusedError("it is good for more than an hour");
    if (iat - now > TOLERANCE_SECONDS) throw tokenRefusedError("its iat is not right");
    return { exp };
  } catch (error) {
    if (error instanceof errors.JOSEError) throw tokenRefusedError(describeJoseError(error));
    throw error;
  }
}

function describeJoseError(error: errors.JOSEError): string {
  if (error instanceof errors.JWTExpired) return "it has expired";
  if (error instanceof errors.JWTClaimValidationFailed) return `its ${error.claim} is not right`;
  return "its signature is not the agent's";
}

function readSubject(token: string): string | undefined {
  try {
    return decodeJwt(token).sub;
  } catch {
    throw tokenRefusedError("it can't be read");
  }
}

function tokenRefusedError(why: string): IpcError {
  return new IpcError("unauthorized", `this token is not accepted: ${why}`, "invalid_token");
}
