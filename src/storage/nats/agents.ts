import { nuid } from "@nats-io/transport-node";
import type { Agent, AgentStore, NameClaim, Outcome, RequestKey, Revoked } from "../../core/store.ts";
import { type Fields, fieldsOf, jsonOf, numberIn, textIn } from "./fields.ts";
import { type Found, getRecord, putRecord } from "./records.ts";
import { scan } from "./scan.ts";
import type { Streams } from "./streams.ts";

const KEPT_SECONDS = 3_600;

/** That a request is being done, or was. Its steps are found again by `id`, whoever does them. */
export interface Claim {
  readonly id: string;
  readonly subject: string;
  readonly seq: number;
  readonly value: Fields;
  /** What was answered, once it is done. */
  readonly result: number | undefined;
}

export interface Nonces {
  /** Notes the request before anything is done; finds what became of it where it was noted before. */
  claim(once: RequestKey): Promise<Claim | "clash">;
  settle(claim: Claim, result: number): Promise<void>;
  /** It was refused: its nonce wasn't used. */
  forget(claim: Claim): Promise<void>;
}

export function createNonces(streams: Streams): Nonces {
  const { names } = streams;
  return {
    async claim({ signer, nonce, digest, at }) {
      const subject = names.nonce(signer, nonce);
      // Most nonces are new, and then nothing has to be looked up.
      for (let found: Found = { seq: 0, value: undefined }; ; found = await getRecord(streams, "nonces", subject)) {
        const known = found.value;
        if (known !== undefined && known.gone !== true && numberIn(known, "at") >= at - KEPT_SECONDS) {
          if (textIn(known, "digest") !== digest) return "clash";
          const result = typeof known.result === "number" ? known.result : undefined;
          return { id: textIn(known, "id"), subject, seq: found.seq, value: known, result };
        }
        const value = { signer, nonce, digest, at, id: `${subject} ${found.seq}` };
        const seq = await putRecord(streams, "nonces", subject, value, found);
        if (seq !== "conflict") return { id: value.id, subject, seq, value, result: undefined };
      }
    },

    // A conflict is somebody else's same answer.
    settle: async ({ subject, value, ...claim }, result) =>
      void (await putRecord(streams, "nonces", subject, { ...value, result }, claim)),

    forget: async ({ subject, value, ...claim }) =>
      void (await putRecord(streams, "nonces", subject, { ...value, gone: true }, claim)),
  };
}

/** What is under a name: an agent, or what is left of one, and which requests changed it lately. */
interface Entered {
  readonly agent?: Agent;
  readonly revoked?: Revoked;
  readonly done: readonly { readonly id: string; readonly at: number }[];
}

type Change = { readonly outcome: "done"; readonly entered: Entered } | { readonly outcome: "taken" | "repeated" };

/** Requests are known again for an hour. */
const KNOWN_SECONDS = 3_600;

/**
 * A record for each name, operators' apart from the others'. They change seldom, so each change expects that nobody changed
 * any of them since it looked: it decides on what is there, whatever it looks at.
 */
export function createAgentStore(streams: Streams): AgentStore {
  const { names } = streams;
  const nonces = createNonces(streams);
  let first: Agent | undefined;

  const under = async (name: string): Promise<Entered> => {
    const [operator, agent] = await Promise.all(
      (["operator", "agent"] as const).map((role) => getRecord(streams, "agents", names.agent(role, name))),
    );
    return asEntered(operator?.value ?? agent?.value);
  };

  const change = async (name: string, request: Request | undefined, decide: (found: Entered) => Change) => {
    for (;;) {
      const lastSequence = await streams.lastSeq("agents");
      const found = await under(name);
      if (request !== undefined && found.done.some(({ id }) => id === request.id)) return "repeated";
      const decided = decide(found);
      if (decided.outcome !== "done") return decided.outcome;
      const entered = marked(decided.entered, found, request);
      const subject = names.agent(entered.agent?.role ?? "agent", name);
      const publication = { id: nuid.next(), data: JSON.stringify(entered), expect: { lastSequence } };
      if ((await streams.publish("agents", subject, publication)) !== "conflict") return "done";
    }
  };

  /** A change under a nonce, if it has one: done once, and answered alike when it comes again. */
  const once = async (
    name: string,
    request: RequestKey | undefined,
    decide: (found: Entered) => Change,
  ): Promise<Outcome | "taken"> => {
    if (request === undefined) return change(name, undefined, decide);
    const claim = await nonces.claim(request);
    if (claim === "clash") return "clash";
    if (claim.result !== undefined) return "repeated";
    const outcome = await change(name, { id: claim.id, at: request.at }, decide);
    await (outcome === "taken" ? nonces.forget(claim) : nonces.settle(claim, 0));
    return outcome;
  };

  return {
    find: async (name) => (await under(name)).agent,

    async list() {
      const agents: Agent[] = [];
      for (const role of ["operator", "agent"] as const) {
        const range = { subject: names.agents(role), from: 1, lastOnly: true };
        for await (const { data } of scan(streams, "agents", range)) {
          const { agent } = asEntered(jsonOf(data));
          if (agent !== undefined) agents.push(agent);
        }
      }
      return agents.sort((a, b) => a.createdAt - b.createdAt || (a.name < b.name ? -1 : 1));
    },

    /** An operator's record is never stored again, so the first in the stream was the first. It is so for ever. */
    async firstOperator() {
      if (first !== undefined) return first;
      const found = await streams.next("agents", names.agents("operator"), 1);
      first = found && asEntered(jsonOf(found.data)).agent;
      return first;
    },

    revoked: async (name) => (await under(name)).revoked,

    add: (agent, entry, request) =>
      once(agent.name, request, (found) =>
        mayEnter(agent, entry, found)
          ? { outcome: "done", entered: { agent: entering(agent, entry, found.agent), done: [] } }
          : { outcome: "taken" },
      ),

    async markRevoked(revoked) {
      const outcome = await change(revoked.name, undefined, (found) =>
        found.agent === undefined && found.revoked === undefined
          ? { outcome: "done", entered: { revoked, done: [] } }
          : { outcome: "taken" },
      );
      return outcome === "done";
    },

    revoke: (name, publicKey, request) =>
      once(name, request, ({ agent }) => {
        if (agent?.role !== "agent" || agent.publicKey.trim() !== publicKey.trim()) return { outcome: "taken" };
        const { registeredBy } = agent;
        return { outcome: "done", entered: { revoked: { name, publicKey, registeredBy }, done: [] } };
      }),
  };
}

interface Request {
  readonly id: string;
  readonly at: number;
}

function marked(entered: Entered, { done }: Entered, request: Request | undefined): Entered {
  if (request === undefined) return { ...entered, done };
  return { ...entered, done: [...done.filter(({ at }) => at >= request.at - KNOWN_SECONDS), request] };
}

function mayEnter(agent: Agent, entry: NameClaim, { agent: present, revoked }: Entered): boolean {
  if (present?.role === "operator") return false;
  const owner = present ?? revoked;
  if (entry === "rotate") return owner !== undefined;
  if (entry === "new") return owner === undefined;
  return owner === undefined || owner.registeredBy === agent.registeredBy;
}

/** The agent as it is stored: who rotates a key changes nothing else. */
function entering(agent: Agent, entry: NameClaim, present: Agent | undefined): Agent {
  if (entry !== "rotate" || present === undefined)
    return present ? { ...agent, registeredBy: present.registeredBy } : agent;
  return { ...present, publicKey: agent.publicKey, v2Only: agent.v2Only || present.v2Only };
}

export function asEntered(value: unknown): Entered {
  const from = fieldsOf(value);
  const done = Array.isArray(from.done) ? from.done.map(fieldsOf) : [];
  return {
    ...(from.agent === undefined ? {} : { agent: asAgent(fieldsOf(from.agent)) }),
    ...(from.revoked === undefined ? {} : { revoked: asRevoked(fieldsOf(from.revoked)) }),
    done: done.map((one) => ({ id: textIn(one, "id"), at: numberIn(one, "at") })),
  };
}

function asAgent(from: Fields): Agent {
  return {
    name: textIn(from, "name"),
    identity: textIn(from, "identity"),
    publicKey: textIn(from, "publicKey"),
    role: from.role === "operator" ? "operator" : "agent",
    registeredBy: typeof from.registeredBy === "string" ? from.registeredBy : null,
    createdAt: numberIn(from, "createdAt"),
    v2Only: from.v2Only === true,
  };
}

function asRevoked(from: Fields): Revoked {
  return {
    name: textIn(from, "name"),
    publicKey: textIn(from, "publicKey"),
    registeredBy: typeof from.registeredBy === "string" ? from.registeredBy : null,
  };
}
