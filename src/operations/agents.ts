import { prepareSeed, register, seed } from "../core/agents.ts";
import { agentCard } from "../core/card.ts";
import { createKeyPair } from "../core/keys.ts";
import { registrationBytes, sign } from "../core/signature.ts";
import { identity, name, optional, text } from "./fields.ts";
import { indented, operation } from "./operation.ts";

const storeOperator = operation({
  name: "store-operator",
  summary: "Store a new operator's public key",
  examples: [],
  access: "reader",
  hidden: true,
  input: { name: name("The operator's name"), public_key: text("Its public key") },
  words: [],
  run: async (bus, { name, public_key }) => {
    await seed(bus, name, public_key);
    return { ok: true };
  },
  show: (answer) => JSON.stringify(answer),
});

export const seedOperator = operation({
  name: "seed",
  summary: "Make an operator's key pair; the private key is printed, the public key stored",
  details: "From the first operator on the bus is in secure mode: every message must be signed by a registered agent.",
  examples: ["(umask 077; el-ipc seed my-operator > operator.key)"],
  access: "reader",
  input: { name: name("The operator's name") },
  words: ["name"],
  run: async (bus, { name }) => {
    const { privateKey, publicKey } = await prepareSeed(bus, name);
    return { name, public_key: publicKey, private_key: privateKey };
  },
  show: ({ private_key }) => private_key,
  note: ({ name }) =>
    `Operator '${name}': its public key is stored in the database. Keep the private key safe: it is stored nowhere else.`,
  settle: ({ name, public_key }) => ({ operation: storeOperator, input: { name, public_key } }),
});

export const makeKeys = operation({
  name: "keygen",
  summary: "Make an agent's key pair",
  details: "With --out it writes PREFIX.key (private, readable by you alone) and PREFIX.pub; else it prints both.",
  examples: ["el-ipc keygen --out herald", "el-ipc keygen"],
  access: "reader",
  detached: true,
  input: { out: optional(text("Write PREFIX.key and PREFIX.pub")) },
  words: [],
  run: async () => {
    const { privateKey, publicKey } = createKeyPair();
    return { private_key: privateKey, public_key: publicKey };
  },
  files: ({ private_key, public_key }, { out }) =>
    out === undefined
      ? []
      : [
          { path: `${out}.key`, text: private_key, secret: true },
          { path: `${out}.pub`, text: public_key, secret: false },
        ],
  show: ({ private_key, public_key }, { out }) => (out === undefined ? private_key + public_key : ""),
  note: (_, { out }) =>
    out === undefined
      ? "The private key comes first, then the public key."
      : `Wrote ${out}.key (private) and ${out}.pub.`,
});

export const registerAgent = operation({
  name: "register",
  summary: "Register an agent's public key, authorised by an operator",
  details: "--key is the operator's private key: it signs the registration and goes nowhere.",
  examples: [
    "el-ipc register herald --pubkey herald.pub --as my-operator --key operator.key",
    'el-ipc register herald --pubkey herald.pub --as my-operator --key operator.key --identity "a9e6db87"',
  ],
  access: "signed",
  http: "POST /register",
  input: {
    name: name("The agent's name"),
    public_key: text("The agent's public key", { flag: "pubkey", given: "file" }),
    operator: name("The operator who vouches for it", { flag: "as" }),
    identity: optional(identity("Anything that says more about who it is")),
    operator_signature: optional(text("Base64 Ed25519 signature of the operator; --key makes it")),
    operator_key: optional(text("The operator's private key itself, for the bus to sign with", { wireOnly: true })),
  },
  words: ["name"],
  sign: (input, key) => ({
    ...input,
    operator_signature: sign(registrationBytes({ ...input, identity: input.identity ?? "" }), key),
  }),
  run: async (bus, { name, public_key, identity = "", operator, operator_signature, operator_key }) => {
    const message = await register(bus, { name, public_key, identity, operator, operator_signature, operator_key });
    return { ok: true, message };
  },
  show: (answer) => JSON.stringify(answer),
});

export const listAgents = operation({
  name: "agents",
  summary: "List the registered agents",
  examples: ["el-ipc agents", "el-ipc agents --json"],
  access: "reader",
  http: "GET /agents",
  input: {},
  words: [],
  run: async (bus) =>
    (await bus.store.agents.list()).map(({ name, identity, role, registeredBy, createdAt }) => ({
      name,
      identity,
      role,
      registered_by: registeredBy,
      created_at: createdAt,
    })),
  show: (agents) => {
    if (agents.length === 0) return "No agents registered (open mode — anyone can send)";
    return agents
      .map(({ name, identity, role, registered_by }) => {
        const id = identity === "" ? "" : ` id=${identity}`;
        const by = registered_by === null ? "" : ` (registered by ${registered_by})`;
        return `  ${`[${role}]`.padEnd(10)} ${name}${id}${by}`;
      })
      .join("\n");
  },
});

export const showCard = operation({
  name: "agent-card",
  summary: "Print the bus's A2A agent card",
  details: "IPC_AGENT_NAME, IPC_AGENT_DESC and IPC_AGENT_URL say what it says. With an operator it has a DID.",
  examples: ["el-ipc agent-card", 'IPC_AGENT_NAME="Herald" el-ipc agent-card'],
  access: "anyone",
  http: "GET /.well-known/agent-card.json",
  input: {},
  words: [],
  run: agentCard,
  show: indented,
});
