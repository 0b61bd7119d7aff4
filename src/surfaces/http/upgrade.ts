import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { errorAnswer, isIpcError } from "../../core/errors.ts";
import type { ExposedBus } from "../../server/entrance.ts";
import type { Upgrade } from "../../server/mount.ts";
import { endWithError } from "./answer.ts";
import { callerOf, watchRequestToken } from "./caller.ts";

interface UpgradeOptions extends Pick<ExposedBus, "entrance" | "reportRefusal"> {
  readonly upgrade: Upgrade;
  /** Open connections, which end when the server stops. */
  readonly open: Set<AbortController>;
}

/** Admits upgrade requests like any other request, and hands their connections over. */
export function acceptUpgrades(server: Server, { upgrade, entrance, reportRefusal, open }: UpgradeOptions): void {
  server.on("upgrade", async (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const ending = new AbortController();
    socket.on("error", () => socket.destroy());
    open.add(ending);
    socket.once("close", () => {
      ending.abort();
      open.delete(ending);
    });
    try {
      const caller = await callerOf(request, entrance);
      const stopWatching = watchRequestToken(request, caller, entrance, () => ending.abort());
      socket.once("close", stopWatching);
      await upgrade(request, socket, head, caller, ending.signal);
    } catch (error) {
      if (isIpcError(error)) await reportRefusal(error, request.socket.remoteAddress ?? "");
      refuseUpgrade(socket, error);
    }
  });
}

/** The original says only "unauthorized". It has no upgrades, so a longer sentence breaks no client here. */
const SHOW_WHO = [
  "this server asks for its API key or an agent's token: send it as Authorization: Bearer (our commands: IPC_API_KEY,",
  "IPC_TOKEN or IPC_KEY), or in a browser offer the subprotocols el-ipc and bearer.TOKEN",
].join(" ");

function refuseUpgrade(socket: Duplex, error: unknown): void {
  const answer = errorAnswer(error);
  endWithError(socket, answer.error === "unauthorized" ? { ...answer, error: SHOW_WHO } : answer);
}
