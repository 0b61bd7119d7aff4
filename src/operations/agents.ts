import { createOperatorKeys, getAgents, register, revoke, seed } from "../core/agents.ts";
import { createAgentCard } from "../core/card.ts";
import { invalid, notFound } from "../core/errors.ts";
import { createKeyPair, rawKeyBytes, readPublicKey } from "../core/keys.ts";
import { TOKEN_SECONDS } from "../core/limits.ts";
import { keyChangeBytes, registrationBytes, sign } from "../core/signature.ts";
import { flag, identity, name, optional, stampFields, text, whole } from "./fields.ts";
import { defineOperation, defineStoreless, indented, parseRequest, type Signer } from "./operation.ts";

export const seedOperator = defineOperation({
  name: "seed",
  summary: "Make an operator's key pair: print the private key, store the public key",
  details: "The first operator puts the bus in secure mode: every message must then be signed by a registered agent.",
  examples: ["(umask 077; el-ipc seed my-operator > operator.key)"],
  access: { level: "reader" },
  input: { fields: { name: name("The operator's name") }, positionals: ["name"] },
  run: async (bus, { name }) => {
    const { privateKey, publicKey } = await createOperatorKeys(bus, name);
    return { name, public_key: publicKey, private_key: privateKey };
  },
  // The operator exists only once its private key was delivered.
  after: { delivered: (bus, { name, public_key }) => seed(bus, name, public_key) },
  output: {
    text: ({ private_key }) => private_key,
    isSecret: () => true,
    note: ({ name }) =>
      `Operator '${name}': its public key is stored in the database. Keep the private key safe: it is stored nowhere else.`,
  },
});

export const makeKeys = defineStoreless({
  name: "keygen",
  summary: "Make an agent's key pair",
  details: "With --out it writes PREFIX.key (private, readable by you alone) and PREFIX.pub; otherwise it prints both.",
  examples: ["el-ipc keygen --out herald", "el-ipc keygen"],
  access: { level: "reader" },
  storeless: true,
  input: { fields: { out: optional(text("Write PREFIX.key and PREFIX.pub")) } },
  run: async () => {
    const { privateKey, publicKey } = createKeyPair();
    return { private_key: privateKey, public_key: publicKey };
  },
  output: {
    files: ({ private_key, public_key }, { out }) =>
      out === undefined
        ? []
        : [
            { path: `${out}.key`, text: private_key, secret: true },
            { path: `${out}.pub`, text: public_key, secret: false },
          ],
    isSecret: ({ out }) => out === undefined,
    text: ({ private_key, public_key }, { out }) => (out === undefined ? private_key + public_key : ""),
    note: (_, { out }) =>
      out === undefined
        ? "The private key comes first, then the public key."
        : `Wrote ${out}.key (private) and ${out}.pub.`,
  },
});

const operatorSignature = optional(
  text("Base64 Ed25519 signature of the operator; --key makes it", { wireOnly: true }),
);

export const registerAgent = defineOperation({
  name: "register",
  summary: "Register an agent's public key, authorised by an operator",
  details: [
    "--key is the operator's private key. It signs the registration and is sent nowhere. The operator who registered a",
    "name can give it another key; with --rotate, any operator can.",
  ].join("\n"),
  examples: [
    "el-ipc register herald --pubkey herald.pub --as my-operator --key operator.key",
    'el-ipc register herald --pubkey herald.pub --as my-operator --key operator.key --identity "a9e6db87"',
    "el-ipc register herald --pubkey new.pub --as my-operator --key operator.key --rotate",
  ],
  access: { level: "signed" },
  http: "POST /register",
  input: {
    fields: {
      name: name("The agent's name"),
      public_key: text("The agent's public key", { flag: "pubkey", given: "file" }),
      operator: name("The operator who vouches for it", { flag: "as" }),
      identity: optional(identity("Free text that says more about the agent")),
      rotate: flag("Replace the key of a registered agent"),
      v2_only: { ...flag("Refuse v1 signatures of this agent"), flag: "v2" },
      operator_signature: operatorSignature,
      operator_key: optional(text("The operator's private key itself, from this machine only", { wireOnly: true })),
      ...stampFields,
    },
    positionals: ["name"],
  },
  signature: {
    by: "operator",
    required: true,
    add: async (input, signer) => {
      const stamp = await signer.stamp();
      const { name, identity = "", operator, v2_only: v2Only = false } = input;
      const rawKey = rawKeyBytes(readPublicKey(input.public_key));
      const signed = { name, identity, operator, rawKey, v2Only };
      const bytes = input.rotate ? keyChangeBytes("rotate", signed, stamp) : registrationBytes(signed, stamp);
      return { ...input, v: 2, ...stamp, operator_signature: sign(bytes, signer.key) };
    },
  },
  run: async (bus, { identity = "", rotate = false, v2_only = false, ...input }, { caller }) => {
    const { operator_signature, operator_key } = input;
    const registration = { ...input, identity, rotate, v2_only, operator_signature, operator_key };
    const { message, repeated } = await register(bus, registration, caller);
    return { ok: true, message, ...(repeated ? { duplicate: true } : {}) };
  },
});

export const revokeAgent = defineOperation({
  name: "revoke",
  summary: "Revoke an agent's key, authorised by an operator",
  details: "The agent's messages stay. It can send no more until it is registered again.",
  examples: ["el-ipc revoke herald --as my-operator --key operator.key"],
  access: { level: "signed" },
  http: "POST /revoke",
  input: {
    fields: {
      name: name("The agent's name"),
      operator: name("The operator who revokes it", { flag: "as" }),
      public_key: optional(text("The key to revoke, if it isn't the current one", { flag: "pubkey", given: "file" })),
      operator_signature: operatorSignature,
      ...stampFields,
    },
    positionals: ["name"],
  },
  signature: {
    by: "operator",
    required: true,
    add: async (input, signer) => {
      const stamp = await signer.stamp();
      const { name, operator } = input;
      const public_key = input.public_key ?? (await keyOf(name, signer));
      const rawKey = rawKeyBytes(readPublicKey(public_key));
      const operator_signature = sign(keyChangeBytes("revoke", { name, rawKey, operator }, stamp), signer.key);
      return { ...input, public_key, v: 2, ...stamp, operator_signature };
    },
  },
  run: async (bus, { name, operator, public_key, operator_signature, v, aud, nonce, ts }) => {
    if (public_key === undefined || operator_signature === undefined) {
      throw invalid("name, operator, public_key, and operator_signature required: the operator's --key makes them");
    }
    const revocation = { name, operator, public_key, operator_signature, v, aud, nonce, ts };
    const { message, repeated } = await revoke(bus, revocation);
    return { ok: true, message, ...(repeated ? { duplicate: true } : {}) };
  },
});

async function keyOf(name: string, signer: Signer): Promise<string> {
  const agents = await signer.ask(parseRequest(listAgents, { keys: true }));
  const key = agents.find((agent) => agent.name === name)?.public_key;
  if (key === undefined) throw notFound(`There is no agent '${name}'`);
  return key;
}

export const listAgents = defineOperation({
  name: "agents",
  summary: "List the registered agents",
  examples: ["el-ipc agents", "el-ipc agents --json", "el-ipc agents --keys --json"],
  access: { level: "reader" },
  http: "GET /agents",
  input: { fields: { keys: flag("With their public keys") } },
  run: async (bus, { keys = false }) =>
    (await getAgents(bus)).map(({ name, identity, role, registeredBy, createdAt, publicKey }) => ({
      name,
      identity,
      role,
      registered_by: registeredBy,
      created_at: createdAt,
      ...(keys ? { public_key: publicKey } : {}),
    })),
  output: {
    text: (agents) => {
      if (agents.length === 0) return "No agents registered (open mode — anyone can send)";
      return agents
        .map(({ name, identity, role, registered_by, public_key }) => {
          const id = identity === "" ? "" : ` id=${identity}`;
          const by = registered_by === null ? "" : ` (registered by ${registered_by})`;
          const key = public_key === undefined ? "" : `\n${public_key.trim()}`;
          return `  ${`[${role}]`.padEnd(10)} ${name}${id}${by}${key}`;
        })
        .join("\n");
    },
  },
});

export const showCard = defineOperation({
  name: "agent-card",
  summary: "Print the bus's A2A agent card",
  details:
    "IPC_AGENT_NAME, IPC_AGENT_DESC and IPC_AGENT_URL set its name, description and address. In secure mode it has a DID.",
  examples: ["el-ipc agent-card", 'IPC_AGENT_NAME="Herald" el-ipc agent-card'],
  access: { level: "anyone" },
  http: "GET /.well-known/agent-card.json",
  input: { fields: {} },
  run: createAgentCard,
  output: { text: indented },
});

export const makeToken = defineStoreless({
  name: "token",
  summary: "Make a token that proves who an agent is, for a server in secure mode",
  details: [
    "Send it as Authorization: Bearer TOKEN. It is valid for one bus and for an hour at most; anyone who has it can act as",
    "the agent. Commands with --key and --url make one by themselves.",
  ].join("\n"),
  examples: [
    "el-ipc token herald --key herald.key",
    "el-ipc token herald --key herald.key --seconds 60 --url https://bus.example.org",
  ],
  access: { level: "anyone" },
  storeless: true,
  input: {
    fields: {
      agent: name("The agent whose key it is"),
      seconds: optional(
        whole("How many seconds it is valid (3600, which is also the maximum)", { min: 1, max: TOKEN_SECONDS }),
      ),
      token: optional(text("The token", { wireOnly: true })),
    },
    positionals: ["agent"],
    self: "agent",
  },
  signature: {
    required: true,
    add: async (input, signer) => ({
      ...input,
      token: await signer.token(input.agent, input.seconds ?? TOKEN_SECONDS),
    }),
  },
  run: async (_, { agent, token }) => {
    if (token === undefined)
      throw invalid("a token is made with the agent's private key: give --key FILE, or set IPC_KEY");
    return { agent, token };
  },
  output: { text: ({ token }) => token },
});

export const agentOperations = [
  seedOperator,
  makeKeys,
  registerAgent,
  revokeAgent,
  listAgents,
  makeToken,
  showCard,
] as const;
