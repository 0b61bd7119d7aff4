import { invalid } from "../core/errors.ts";
import { TOKEN_SECONDS } from "../core/limits.ts";
import { name, optional, text, whole } from "./fields.ts";
import { operation } from "./operation.ts";

export const makeToken = operation({
  name: "token",
  summary: "Make a token that says who an agent is, for a server in secure mode",
  details: [
    "A request shows it as Authorization: Bearer TOKEN. It is good for one bus and for an hour at most; whoever has it",
    "is the agent until then. Commands with --key and --url make one by themselves.",
  ].join("\n"),
  examples: [
    "el-ipc token herald --key herald.key",
    "el-ipc token herald --key herald.key --seconds 60 --url https://bus.example.org",
  ],
  access: "anyone",
  detached: true,
  input: {
    agent: name("The agent whose key it is"),
    seconds: optional(
      whole("How long it is good for (3600, which is also the most)", { least: 1, most: TOKEN_SECONDS }),
    ),
    token: optional(text("The token", { wireOnly: true })),
  },
  words: ["agent"],
  self: "agent",
  mustSign: true,
  sign: async (input, signer) => ({
    ...input,
    token: await signer.token(input.agent, input.seconds ?? TOKEN_SECONDS),
  }),
  run: async (_, { agent, token }) => {
    if (token === undefined)
      throw invalid("a token is made with the agent's private key: give --key FILE, or set IPC_KEY");
    return { agent, token };
  },
  show: ({ token }) => token,
});
