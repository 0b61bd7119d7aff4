import type { Changes } from "./changes.ts";
import { type Asker, accessOf } from "./connection.ts";
import { fieldsOf, listOf, nullableNumberOf, nullableTextOf, textOf } from "./records.ts";

/** For whom the server takes whoever sits here, and what it would let them do. */
export interface Rights {
  readonly secure: boolean;
  readonly agent: string | null;
  readonly operator: boolean;
  readonly expires: number | null;
  readonly may: readonly string[];
}

export interface Session {
  readonly rights: Rights | undefined;
  /** A token or an API key was given. */
  readonly signedIn: boolean;
  /** What is sent from here is sent by this name, where no token says another. */
  readonly name: string;
  rename(name: string): void;
  /** Whether the server would let them do this. What it wouldn't isn't offered. */
  may(operation: string): boolean;
  /** Asks the server anew what one may do. */
  refresh(): Promise<void>;
  /** Takes a token or an API key, if the server does. */
  signIn(credential: string): Promise<void>;
  signOut(): void;
  /** The server has just let nobody in: as long as that is so, there is nothing that one may do. */
  refused(): void;
}

/** A credential is kept as long as this tab, and nowhere but here. */
const CREDENTIAL = "el-ipc.credential";
const NAME = "el-ipc.name";

export function storedCredential(): string | undefined {
  return sessionStorage.getItem(CREDENTIAL) ?? undefined;
}

export function createSession({ ask }: Asker, changes: Changes): Session {
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
    get signedIn() {
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
    refused() {
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
