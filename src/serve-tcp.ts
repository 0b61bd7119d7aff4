import type { Bus } from "./core/bus.ts";
import { raiseAlarm } from "./core/security.ts";
import { verifyToken } from "./core/token.ts";
import { operations } from "./operations/index.ts";
import { perform } from "./operations/perform.ts";
import { serveTcp, type TcpServer } from "./surfaces/tcp/server.ts";

export interface TcpServing {
  readonly host: string;
  readonly port: number;
  readonly apiKey: string | undefined;
  readonly insecure: boolean;
  readonly failed: (error: unknown) => void;
  readonly product: string;
}

/** Puts a server for lines of JSON on an open bus. */
export function serveOverTcp(bus: Bus, { apiKey, insecure, ...serving }: TcpServing): Promise<TcpServer> {
  return serveTcp({
    ...serving,
    operations,
    perform: (operation, input, context) => perform(bus, operation, input, context),
    door: { apiKey, insecure, identify: (token) => verifyToken(bus, token) },
    refused: (refusal, from) => raiseAlarm(bus, refusal, { from }),
  });
}
