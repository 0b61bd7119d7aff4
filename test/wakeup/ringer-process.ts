// A process that rings a bell.
import { createFileBells } from "../../src/wakeup/files.ts";
import { nothingChanges } from "../support/store.ts";

const [folder = "", channel = ""] = process.argv.slice(2);
await using bells = createFileBells({ folder, changes: nothingChanges });
bells.ring(channel);
