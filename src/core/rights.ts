import { type Access, admit } from "./access.ts";
import { isSecure } from "./agents.ts";
import type { Bus } from "./bus.ts";
import type { Caller } from "./caller.ts";
import { isIpcError } from "./errors.ts";

/** For whom the bus takes a caller, and what it would let it do. */
export interface Rights {
  readonly secure_mode: boolean;
  readonly agent: string | null;
  readonly operator: boolean;
  /** When its token runs out, in seconds since 1970. */
  readonly expires: number | null;
  readonly may: readonly Access[];
}

const ASKABLE: readonly Access[] = ["anyone", "signed", "reader", "actor", "keeper"];

export async function rightsOf(bus: Bus, caller: Caller): Promise<Rights> {
  const { identity } = caller;
  const may: Access[] = [];
  for (const access of ASKABLE) if (await isAdmitted(bus, access, caller)) may.push(access);
  return {
    secure_mode: await isSecure(bus),
    agent: identity?.agent ?? null,
    operator: identity?.operator ?? false,
    expires: identity?.expires ?? null,
    may,
  };
}

async function isAdmitted(bus: Bus, access: Access, caller: Caller): Promise<boolean> {
  try {
    await admit(bus, access, {}, caller);
    return true;
  } catch (error) {
    if (isIpcError(error)) return false;
    throw error;
  }
}
