// A process that waits at a bell for a moment, then has nothing left to do. It must end by itself.
import { createFileBells } from "../../src/wakeup/files.ts";
import { nothingChanges } from "../support/store.ts";

const [folder = "", rounds = "1"] = process.argv.slice(2);
await using bells = createFileBells({ folder, changes: nothingChanges });
for (let round = 0; round < Number(rounds); round++) {
  using bell = bells.arm(`a ${round % 3}`);
  await bell.wait(new AbortController().signal, 1);
}
console.error("done");
