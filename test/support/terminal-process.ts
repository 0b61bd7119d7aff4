// Runs a program of ours in a terminal of its own, which shows on standard output and is typed at on standard input.
import { spawn } from "node:child_process";

const command = [process.execPath, ...process.argv.slice(2)].map((word) => `'${word}'`).join(" ");
const child = spawn("script", ["-qec", command, "/dev/null"], { stdio: "inherit" });
process.on("SIGTERM", () => child.kill());
child.on("exit", (code) => process.exit(code ?? 1));
