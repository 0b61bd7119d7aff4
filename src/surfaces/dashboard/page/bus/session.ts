import type { Changes } from "./changes.ts";
import { accessOf, type Client } from "./connection.ts";
import { fieldsOf, listOf, nullableNumberOf, nullableTextOf, textOf } from "./records.ts";

interface Rights {
  readonly secure: boolean;
  readonly agent: string | null;
  readonly operator: boolean;
  readonly expires: number | null;
  readonly may: readonly string[];
}

export interface Session {
  readonly rights: Rights | undefined;
  readonly isSignedIn: boolean;
  /** The sender of messages and commands: the token's agent, or a name the user chose. */
  readonly name: string;
  rename(name: string): void;
  /** Whether the server allows an operation. */
  may(operation: string): boolean;
  refresh(): Promise<void>;
  /** Signs in with a token or an API key. Rejects where the server refuses it. */
  signIn(credential: string): Promise<void>;
  signOut(): void;
  /** Removes all rights, after the server refused the connection. */
  removeRights(): void;
}

const CREDENTIAL = "el-ipc.credential";
const NAME = "el-ipc.name";

export function storedCredential(): string | undefined {
  return sessionStorage.getItem(CREDENTIAL) ?? undefined;
}

export function createSession({ ask }: Client, changes: Changes): Session {
  let rights: Rights | undefined;
  let name = localStorage.getItem(NAME) || "human";

  const refresh = async (): Promise<void> => {
    try {
      rights = rightsOf(await ask("rights", {}));
    } catch (error) {
      rights = undefined;
      throw error;
    } finally {
      changes.touch("session");
    }
  };

  return {
    get rights() {
      return rights;
    },
    get isSignedIn() {
      return storedCredential() !== undefined;
    },
    get name() {
      return rights?.agent ?? name;
    },
    rename(given) {
      name = given.trim() || "human";
      localStorage.setItem(NAME, name);
      changes.touch("session");
    },
    may: (operation) => rights?.may.includes(accessOf(operation)) ?? false,
    refresh,
    async signIn(credential) {
      const before = storedCredential();
      sessionStorage.setItem(CREDENTIAL, credential);
      try {
        await refresh();
      } catch (error) {
        if (before === undefined) sessionStorage.removeItem(CREDENTIAL);
        else sessionStorage.setItem(CREDENTIAL, before);
        throw error;
      }
    },
    removeRights() {
      if (rights !== undefined) rights = { ...rights, may: [] };
      changes.touch("session");
    },
    signOut() {
      sessionStorage.removeItem(CREDENTIAL);
      rights = undefined;
      changes.touch("session");
    },
  };
}

function rightsOf(value: unknown): Rights {
  const rights = fieldsOf(value);
  return {
    secure: rights.secure_mode === true,
    agent: nullableTextOf(rights.agent),
    operator: rights.operator === true,
    expires: nullableNumberOf(rights.expires),
    may: listOf(rights.may).map(textOf),
  };
}
