import { nuid } from "@nats-io/transport-node";
import { conflict } from "../../core/errors.ts";
import type { Agent, AgentStore, NameClaim, Outcome, RequestKey } from "../../core/store.ts";
import {
  type Found,
  getRecord,
  type NameRecord,
  NOT_FOUND,
  type NonceRecord,
  parseJson,
  putRecord,
  readName,
  readNonce,
} from "./records.ts";
import { scanLast } from "./scan.ts";
import type { Streams } from "./streams.ts";

const KNOWN_SECONDS = 3_600;

/** The record of a signed request that is under way or done, and where the record is stored. */
export interface Claim extends NonceRecord {
  readonly subject: string;
  readonly seq: number;
}

/**
 * A record for each nonce. It is stored before its request runs, and later holds the answer; so a repeated request is
 * recognised, even after a crash. The steps of a request are found again by the claim's id.
 */
export function createNonces(streams: Streams) {
  const { names } = streams;

  /** On a conflict another process has stored the same answer. */
  const update = async ({ subject, seq, ...record }: Claim, change: Pick<NonceRecord, "result" | "gone">) =>
    void (await putRecord(streams, "nonces", subject, { ...record, ...change }, { seq }));

  return {
    /** Claims the nonce for a new request, or finds the claim of one that came before. */
    async claim({ signer, nonce, digest, at }: RequestKey, agentsSeq = 0): Promise<Claim | "clash"> {
      const subject = names.record("nonces", signer, nonce);
      // Most nonces are new, so the first try assumes that.
      for (let found: Found = NOT_FOUND; ; found = await getRecord(streams, "nonces", subject)) {
        const known = found.value && readNonce(found.value);
        if (known !== undefined && !known.gone && known.at >= at - KNOWN_SECONDS) {
          return known.digest === digest ? { ...known, subject, seq: found.seq } : "clash";
        }
        const record = { signer, nonce, digest, at, id: `${subject} ${found.seq}`, agentsSeq };
        const seq = await putRecord(streams, "nonces", subject, record, found);
        if (seq !== "conflict") return { ...record, subject, seq };
      }
    },

    settle: (claim: Claim, result: number) => update(claim, { result }),

    /** Frees the nonce of a request that was refused. */
    forget: (claim: Claim) => update(claim, { gone: true }),
  };
}

/** Works out a name's new record; undefined where the change is refused. */
type Decide = (found: NameRecord) => NameRecord | undefined;

/**
 * A record for each name, operators' apart from agents'. Changes are rare, so each expects that the whole stream stayed
 * the same meanwhile.
 */
export function createAgentStore(streams: Streams): AgentStore {
  const { names } = streams;
  const nonces = createNonces(streams);
  let first: Agent | undefined;

  const find = async (name: string): Promise<Found> => {
    const [operator, agent] = await Promise.all([
      getRecord(streams, "agents", names.agent("operator", name)),
      getRecord(streams, "agents", names.agent("agent", name)),
    ]);
    return operator.value === undefined ? agent : operator;
  };

  const get = async (name: string): Promise<NameRecord> => readName((await find(name)).value);

  const change = async (name: string, decide: Decide, claim?: Claim): Promise<"done" | "repeated" | "taken"> => {
    for (;;) {
      const lastSequence = await streams.lastSeq("agents");
      const found = await find(name);
      const isNewer = claim !== undefined && found.seq > claim.agentsSeq;
      if (isNewer && found.id.startsWith(`${claim.id} `)) return "repeated";
      const decided = decide(readName(found.value));
      if (decided === undefined) {
        if (claim !== undefined && !isNewer) await nonces.forget(claim);
        return "taken";
      }
      if (isNewer) {
        throw conflict(
          `${name} was changed by another request while this one was under way: look at it, and sign a new request`,
        );
      }
      const id = claim === undefined ? nuid.next() : `${claim.id} ${nuid.next()}`;
      const subject = names.agent(decided.agent?.role ?? "agent", name);
      const publication = { id, data: JSON.stringify(decided), expect: { lastSequence } };
      if ((await streams.publish("agents", subject, publication)) !== "conflict") return "done";
    }
  };

  /**
   * Does a signed request's change once. Its nonce notes where the stream of agents ended before the request began. A
   * name that hasn't changed since shows that the request wasn't done; one that this request changed last, that it was.
   * After another change neither is known, so the request is refused: done now, it might bring an old key back.
   */
  const changeOnce = async (
    name: string,
    request: RequestKey | undefined,
    decide: Decide,
  ): Promise<Outcome | "taken"> => {
    if (request === undefined) return change(name, decide);
    const claim = await nonces.claim(request, await streams.lastSeq("agents"));
    if (claim === "clash") return "clash";
    if (claim.result !== undefined) return "repeated";
    const outcome = await change(name, decide, claim);
    if (outcome !== "taken") await nonces.settle(claim, 0);
    return outcome;
  };

  return {
    find: async (name) => (await get(name)).agent,

    async list() {
      const agents: Agent[] = [];
      for (const role of ["operator", "agent"] as const) {
        for await (const { data } of scanLast(streams, "agents", names.agents(role))) {
          const { agent } = readName(parseJson(data));
          if (agent !== undefined) agents.push(agent);
        }
      }
      return agents.sort((a, b) => a.createdAt - b.createdAt || (a.name < b.name ? -1 : 1));
    },

    /** An operator's record is never replaced, so the first in the stream stays the first. */
    async firstOperator() {
      if (first !== undefined) return first;
      const found = await streams.next("agents", names.agents("operator"), 1);
      first = found && readName(parseJson(found.data)).agent;
      return first;
    },

    revoked: async (name) => (await get(name)).revoked,

    add: (agent, entry, request) =>
      changeOnce(agent.name, request, (found) =>
        mayTake(agent, entry, found) ? { agent: merge(agent, entry, found.agent) } : undefined,
      ),

    async markRevoked(revoked) {
      const outcome = await change(revoked.name, ({ agent, revoked: before }) =>
        agent === undefined && before === undefined ? { revoked } : undefined,
      );
      return outcome === "done";
    },

    revoke: (name, publicKey, request) =>
      changeOnce(name, request, ({ agent }) => {
        if (agent?.role !== "agent" || agent.publicKey.trim() !== publicKey.trim()) return undefined;
        return { revoked: { name, publicKey, registeredBy: agent.registeredBy } };
      }),
  };
}

function mayTake(agent: Agent, entry: NameClaim, { agent: present, revoked }: NameRecord): boolean {
  if (present?.role === "operator") return false;
  const owner = present ?? revoked;
  if (entry === "rotate") return owner !== undefined;
  if (entry === "new") return owner === undefined;
  return owner === undefined || owner.registeredBy === agent.registeredBy;
}

/** A rotation changes only the key. */
function merge(agent: Agent, entry: NameClaim, present: Agent | undefined): Agent {
  if (present === undefined) return agent;
  if (entry !== "rotate") return { ...agent, registeredBy: present.registeredBy };
  return { ...present, publicKey: agent.publicKey, v2Only: agent.v2Only || present.v2Only };
}
