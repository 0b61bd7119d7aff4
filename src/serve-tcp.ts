import type { Bus } from "./core/bus.ts";
import type { IpcError } from "./core/errors.ts";
import { raiseAlarm } from "./core/security.ts";
import { verifyToken } from "./core/token.ts";
import type { Perform } from "./operations/deliver.ts";
import type { ServerDoor } from "./operations/door.ts";
import { operations } from "./operations/index.ts";
import { perform } from "./operations/perform.ts";
import { serveTcp, type TcpServer } from "./surfaces/tcp/server.ts";

export interface LetIn {
  readonly apiKey: string | undefined;
  readonly insecure: boolean;
}

/** A bus as every server needs it: what can be asked, the door to ask it on, and who hears of those turned away there. */
export function served(bus: Bus, letIn: LetIn) {
  const door: ServerDoor = { ...letIn, identify: (token) => verifyToken(bus, token) };
  const performOn: Perform = (operation, input, context) => perform(bus, operation, input, context);
  const refused = (refusal: IpcError, from: string) => raiseAlarm(bus, refusal, { from });
  return { operations, perform: performOn, door, refused };
}

export interface TcpServing extends LetIn {
  readonly host: string;
  readonly port: number;
  readonly failed: (error: unknown) => void;
  readonly product: string;
}

/** Puts a server for lines of JSON on an open bus. */
export function serveOverTcp(bus: Bus, { apiKey, insecure, ...serving }: TcpServing): Promise<TcpServer> {
  return serveTcp({ ...serving, ...served(bus, { apiKey, insecure }) });
}
