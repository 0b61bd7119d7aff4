// A process that rings a bell.
import { createFileBells } from "../../src/wakeup/files.ts";

const [folder = "", channel = ""] = process.argv.slice(2);
await using bells = createFileBells({ folder, changedChannels: async () => [] });
bells.ring(channel);
