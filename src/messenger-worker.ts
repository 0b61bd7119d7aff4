import { type MessagePort, workerData } from "node:worker_threads";
import { connectClient, loadKey } from "./client.ts";
import { publicError } from "./core/errors.ts";
import { readEnvironment } from "./environment.ts";
import type { Letter } from "./surfaces/agent-msg/folder.ts";
import { createMailboxes, type Mailboxes } from "./surfaces/agent-msg/mailboxes.ts";

export type BusRequest =
  | { readonly verb: "send"; readonly agent: string; readonly to: string; readonly message: string }
  | { readonly verb: "read" | "take"; readonly agent: string };

export interface BusAnswer {
  /** The id of a sent message, undefined for an unknown recipient; or the messages of a mailbox. */
  readonly answer?: string | readonly Letter[] | undefined;
  readonly error?: ReturnType<typeof publicError>;
}

const { port, answered }: { port: MessagePort; answered: Int32Array } = workerData;
const mailboxesOf = new Map<string, Mailboxes>();

port.on("message", async (request: BusRequest) => {
  port.postMessage(await answer(request));
  Atomics.store(answered, 0, 1);
  Atomics.notify(answered, 0);
});

async function answer(request: BusRequest): Promise<BusAnswer> {
  try {
    const mailboxes = mailboxesOf.get(request.agent) ?? (await openMailboxes(request.agent));
    mailboxesOf.set(request.agent, mailboxes);
    return { answer: await act(mailboxes, request) };
  } catch (error) {
    return { error: publicError(error) };
  }
}

async function act(mailboxes: Mailboxes, request: BusRequest): Promise<BusAnswer["answer"]> {
  const { agent, verb } = request;
  if (verb === "send") return await mailboxes.send(agent, request.to, request.message);
  if (verb === "read") return await mailboxes.read(agent);
  const letters = await mailboxes.take(agent);
  for (const letter of letters) await mailboxes.acknowledge(agent, letter);
  return letters;
}

async function openMailboxes(agent: string): Promise<Mailboxes> {
  const environment = readEnvironment(process.env);
  const { keyFile, token, url } = environment;
  const warn = (sentence: string) => process.emitWarning(sentence);
  const client = connectClient({ environment, url, agent, key: loadKey(keyFile), token, warn });
  await client.open();
  return createMailboxes(client.ask, new AbortController().signal);
}
