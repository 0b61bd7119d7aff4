import type { ExclusiveRole, Session, SessionStore } from "../../core/store.ts";
import { loadCommand, putCommand } from "./commands.ts";
import type { Context } from "./outbox.ts";
import type { CommandRecord, SessionRecord, State } from "./state.ts";

export function createSessionStore({ log, payloads }: Context): SessionStore {
  return {
    connect: (session, sole) =>
      log.step(({ state, put }) => {
        if (isRoleTaken(state, session.id, sole)) return "taken";
        if (state.sessions.has(session.id)) throw new Error(`there is a session ${session.id} already`);
        put({ of: "peer", key: session.id, to: { ...session, since: state.entry + 1 }, what: "connected" });
        return "done";
      }),

    async find(id) {
      const found = await log.step(({ state }) => state.sessions.get(id));
      return found && asSession(found);
    },

    list: () => log.step(({ state }) => listSessions([...state.sessions.values()])),

    ofAgent: (name) =>
      log.step(({ state }) => listSessions([...state.sessions.values()].filter(({ agent }) => agent === name))),

    seen: (id, at, waitingFor) =>
      log.step(({ state, put }) => {
        const session = state.sessions.get(id);
        if (session === undefined) return false;
        const journaled = session.waitingFor === waitingFor ? {} : { what: waitingFor === null ? "works" : "waits" };
        const to = { ...session, lastSeen: Math.max(session.lastSeen, at), waitingFor };
        put({ of: "peer", key: id, to, ...journaled });
        return true;
      }),

    renew: (id, at) =>
      log.step((transaction) => {
        const { state, put } = transaction;
        const session = state.sessions.get(id);
        if (session === undefined) return false;
        put({ of: "peer", key: id, to: { ...session, lastSeen: Math.max(session.lastSeen, at) } });
        for (const command of heldBy(state, id)) {
          putCommand(transaction, { ...command, leaseUntil: at + command.leaseSeconds });
        }
        return true;
      }),

    setRole: (id, role, sole) =>
      log.step(({ state, put }) => {
        if (isRoleTaken(state, id, sole)) return "taken";
        const session = state.sessions.get(id);
        if (session === undefined) return "missing";
        put({ of: "peer", key: id, to: { ...session, role }, what: "changed_role" });
        return "done";
      }),

    async leave(id, at) {
      const dead = await log.step((transaction) => {
        const { state, put } = transaction;
        if (!state.sessions.has(id)) return undefined;
        put({ of: "peer", key: id, to: null, what: "left" });
        for (const command of heldBy(state, id)) {
          if (command.target !== null) continue;
          putCommand(transaction, { ...command, status: "pending", holder: null, leaseUntil: null });
        }
        const own = [...state.openCommands.values()].filter(({ target }) => target === id);
        return own.map((command) =>
          putCommand(transaction, { ...command, status: "dead", leaseUntil: null, endedAt: at }),
        );
      });
      return dead && Promise.all(dead.map((command) => loadCommand({ log, payloads }, command)));
    },
  };
}

function listSessions(sessions: readonly SessionRecord[]): Session[] {
  return sessions.toSorted((a, b) => a.connectedAt - b.connectedAt || (a.id < b.id ? -1 : 1)).map(asSession);
}

function isRoleTaken({ sessions }: State, id: string, sole: ExclusiveRole | undefined): boolean {
  if (sole === undefined) return false;
  return [...sessions.values()].some(
    (session) => session.role === sole.role && session.lastSeen > sole.aliveSince && session.id !== id,
  );
}

function heldBy({ openCommands }: State, id: string): CommandRecord[] {
  return [...openCommands.values()].filter(({ holder, status }) => holder === id && status === "leased");
}

function asSession({ since: _, ...session }: SessionRecord): Session {
  return session;
}
