import { spawnSync } from "node:child_process";
import { mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Disk extends Disposable {
  /** Where it is mounted; undefined where none can be. */
  readonly path: string | undefined;
  /** Why not. */
  readonly why: string;
  /** From now on nothing can be written to it, or it can again. */
  remount(mode: "ro" | "rw"): void;
}

/** A file system of its own in memory, so small that it is soon full. Only root may mount one, on Linux. */
export function smallDisk(mebibytes: number): Disk {
  const folder = mkdtempSync(join(tmpdir(), "el-ipc-disk-"));
  const mount = (...words: string[]) => spawnSync("mount", words, { encoding: "utf8" });
  const { status, stderr } = mount("-t", "tmpfs", "-o", `size=${mebibytes}m`, "tmpfs", folder);
  const mounted = status === 0;
  const unmount = () => {
    process.off("exit", unmount);
    if (mounted) spawnSync("umount", ["-l", folder]);
    rmdirSync(folder);
  };
  // A test that is ended, for taking too long say, leaves nothing mounted.
  process.on("exit", unmount);
  return {
    path: mounted ? folder : undefined,
    why: mounted ? "" : `no small disk can be mounted here, which needs root on Linux: ${stderr?.trim() || "no mount"}`,
    remount: (mode) => void mount("-o", `remount,${mode}`, folder),
    [Symbol.dispose]: unmount,
  };
}
