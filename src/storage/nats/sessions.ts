import type { ExclusiveRole, Session, SessionStore } from "../../core/store.ts";
import { asOrder, change } from "./commands.ts";
import type { Sessions } from "./outbox.ts";
import type { OrderRecord, PeerRecord, State } from "./state.ts";

export function createSessionStore({ log, bodies }: Sessions): SessionStore {
  return {
    connect: (peer, sole) =>
      log.step((draft) => {
        const { state } = draft;
        if (isTaken(state, peer.id, sole)) return "taken";
        if (state.peers.has(peer.id)) throw new Error(`there is a peer ${peer.id} already`);
        draft.put({ of: "peer", key: peer.id, to: { ...peer, since: state.entry + 1 }, what: "connected" });
        return "done";
      }),

    async find(id) {
      const found = await log.step(({ state }) => state.peers.get(id));
      return found && asPeer(found);
    },

    list: () => log.step(({ state }) => inOrder([...state.peers.values()])),

    ofAgent: (name) =>
      log.step(({ state }) => inOrder([...state.peers.values()].filter(({ agent }) => agent === name))),

    seen: (id, at, waitingFor) =>
      log.step((draft) => {
        const peer = draft.state.peers.get(id);
        if (peer === undefined) return false;
        const told = peer.waitingFor === waitingFor ? {} : { what: waitingFor === null ? "works" : "waits" };
        const to = { ...peer, lastSeen: Math.max(peer.lastSeen, at), waitingFor };
        draft.put({ of: "peer", key: id, to, ...told });
        return true;
      }),

    renew: (id, at) =>
      log.step((draft) => {
        const peer = draft.state.peers.get(id);
        if (peer === undefined) return false;
        draft.put({ of: "peer", key: id, to: { ...peer, lastSeen: Math.max(peer.lastSeen, at) } });
        for (const order of heldBy(draft.state, id)) change(draft, { ...order, leaseUntil: at + order.leaseSeconds });
        return true;
      }),

    setRole: (id, role, sole) =>
      log.step((draft) => {
        if (isTaken(draft.state, id, sole)) return "taken";
        const peer = draft.state.peers.get(id);
        if (peer === undefined) return "missing";
        draft.put({ of: "peer", key: id, to: { ...peer, role }, what: "changed_role" });
        return "done";
      }),

    async leave(id, at) {
      const dead = await log.step((draft) => {
        const { state } = draft;
        if (!state.peers.has(id)) return undefined;
        draft.put({ of: "peer", key: id, to: null, what: "left" });
        for (const order of heldBy(state, id)) {
          if (order.target === null) change(draft, { ...order, status: "pending", holder: null, leaseUntil: null });
        }
        // Nobody else can take them.
        const own = [...state.open.values()].filter(({ target }) => target === id);
        return own.map((order) => change(draft, { ...order, status: "dead", leaseUntil: null, endedAt: at }));
      });
      return dead && Promise.all(dead.map((order) => asOrder(bodies, order)));
    },
  };
}

function inOrder(peers: readonly PeerRecord[]): Session[] {
  return peers.toSorted((a, b) => a.connectedAt - b.connectedAt || (a.id < b.id ? -1 : 1)).map(asPeer);
}

function isTaken({ peers }: State, id: string, sole: ExclusiveRole | undefined): boolean {
  if (sole === undefined) return false;
  return [...peers.values()].some(
    (peer) => peer.role === sole.role && peer.lastSeen > sole.aliveSince && peer.id !== id,
  );
}

function heldBy({ open }: State, peer: string): OrderRecord[] {
  return [...open.values()].filter(({ holder, status }) => holder === peer && status === "leased");
}

function asPeer({ since: _, ...peer }: PeerRecord): Session {
  return peer;
}
