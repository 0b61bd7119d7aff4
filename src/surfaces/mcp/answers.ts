import type { RequestId, Transport } from "@modelcontextprotocol/server";
import type { Settle } from "./server.ts";

/** Tells of a transport on which all answers go one way which of them arrived. Answers with how to ask for that. */
export function watchAnswers(transport: Transport): (id: RequestId, settle: Settle) => void {
  const settles = new Map<RequestId, Settle>();
  const send = transport.send.bind(transport);
  transport.send = async (message, options) => {
    const id = "method" in message ? undefined : message.id;
    const settle = id === undefined ? undefined : settles.get(id);
    if (id !== undefined) settles.delete(id);
    try {
      await send(message, options);
    } catch (error) {
      await settle?.(false);
      throw error;
    }
    await settle?.(true);
  };
  return (id, settle) => void settles.set(id, settle);
}
