import { type MessagePort, workerData } from "node:worker_threads";
import { openClient } from "./client.ts";
import { publicError } from "./core/errors.ts";
import { readEnvironment } from "./environment.ts";
import type { Letter } from "./surfaces/agent-msg/folder.ts";
import { createPost, type Post } from "./surfaces/agent-msg/post.ts";

/** What a messenger asks of the bus from a thread that waits for the answer. */
export type BusRequest =
  | { readonly what: "send"; readonly agent: string; readonly to: string; readonly message: string }
  | { readonly what: "read" | "take"; readonly agent: string };

/** The id of what was sent, nothing where nobody is known by that name; or what waits. */
export interface BusAnswer {
  readonly answer?: string | readonly Letter[] | undefined;
  readonly error?: ReturnType<typeof publicError>;
}

const { port, answered }: { port: MessagePort; answered: Int32Array } = workerData;
const posts = new Map<string, Post>();

port.on("message", async (request: BusRequest) => {
  port.postMessage(await answer(request));
  Atomics.store(answered, 0, 1);
  Atomics.notify(answered, 0);
});

async function answer(request: BusRequest): Promise<BusAnswer> {
  try {
    const post = posts.get(request.agent) ?? (await open(request.agent));
    posts.set(request.agent, post);
    return { answer: await act(post, request) };
  } catch (error) {
    return { error: publicError(error) };
  }
}

async function act(post: Post, request: BusRequest): Promise<BusAnswer["answer"]> {
  const { agent } = request;
  if (request.what === "send") {
    const { to, message } = request;
    return (await post.knows(to)) ? await post.send(agent, to, message) : undefined;
  }
  if (request.what === "read") return await post.read(agent);
  const letters = await post.take(agent);
  for (const letter of letters) await post.arrived(agent, letter);
  return letters;
}

async function open(agent: string): Promise<Post> {
  const environment = readEnvironment(process.env);
  const { keyFile, token, url } = environment;
  const client = await openClient({
    environment,
    url,
    agent,
    key: keyFile,
    token,
    warn: (sentence) => process.emitWarning(sentence),
  });
  return createPost(client.door, new AbortController().signal);
}
