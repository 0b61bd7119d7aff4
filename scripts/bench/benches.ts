import type { Bench } from "./bench.ts";
import { crowd } from "./rows/crowd.ts";
import { engines } from "./rows/engines.ts";
import { fanOut, fanOutStreams } from "./rows/fan-out.ts";
import { growth } from "./rows/growth.ts";
import { httpSends, signedHttpSends } from "./rows/http-sends.ts";
import { idle } from "./rows/idle.ts";
import { jsonLines } from "./rows/json-lines.ts";
import { pairs } from "./rows/pairs.ts";
import { sends } from "./rows/sends.ts";
import { starts } from "./rows/start.ts";
import { wait } from "./rows/wait.ts";
import { wake } from "./rows/wake.ts";
import { writers } from "./rows/writers.ts";

/** Everything that is measured, in the order of the table. */
export const benches: readonly Bench[] = [
  ...starts,
  wake,
  pairs,
  wait,
  idle,
  sends,
  crowd,
  httpSends,
  signedHttpSends,
  jsonLines,
  fanOut,
  fanOutStreams,
  growth,
  writers,
  engines,
];
