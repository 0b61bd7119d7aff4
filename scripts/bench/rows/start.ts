import type { Bench } from "../bench.ts";
import { temporaryFolder } from "../folder.ts";
import { share, shareAlone, type Target, times } from "../lines.ts";
import { runCommand } from "../processes.ts";
import { command, on, secure } from "../program.ts";
import { inTurn } from "../rounds.ts";

const ROUNDS = { quick: 5, usual: 30, long: 60 } as const;

interface Start {
  readonly name: string;
  readonly work: string;
  readonly words: readonly string[];
  readonly signed?: boolean;
  /** Against the original. */
  readonly target: Target;
  /** Against Node's own start. */
  readonly bare?: Target;
}

const SEND = ["send", "builds", "herald", "main is green"];

/** Whole commands, each a process of its own: what a user or a hook waits for. */
export const starts: readonly Bench[] = [
  bench({ name: "send", work: "send, whole process", words: SEND, target: times(2.2), bare: share(1.25) }),
  bench({ name: "send-key", work: "send --key, whole process", words: SEND, signed: true, target: times(2.5) }),
  bench({ name: "read", work: "read, nothing there", words: ["read", "builds", "herald"], target: times(2.3) }),
];

function bench({ name, work, words, signed = false, target, bare = shareAlone }: Start): Bench {
  return {
    name,
    about: `${work}, as one types it`,
    run: async ({ extent, original }) => {
      using our = temporaryFolder();
      using their = temporaryFolder();
      const ours = command(...words, ...(signed ? ["--key", secure(our, on(our)).file] : []));
      const able = signed && !original?.signs ? undefined : original;
      const theirs = able?.command(...words, ...(signed ? ["--key", secure(their, on(their)).file] : []));
      const figures = await inTurn(
        {
          ours: () => runCommand(ours, on(our)).milliseconds,
          original: theirs && (() => runCommand(theirs, on(their)).milliseconds),
          bare: () => runCommand([process.execPath, "-e", "0"]).milliseconds,
        },
        { unit: "ms", rounds: ROUNDS[extent], dropped: 3 },
      );
      return [
        { work, ours: figures.ours, beside: { name: "original", figure: figures.original }, target },
        { work, ours: figures.ours, beside: { name: "node -e 0", figure: figures.bare }, target: bare },
      ];
    },
  };
}
