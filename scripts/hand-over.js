// Runs first in the programs of sources.d (see build.ts), in words that any Node understands: one that the rest is too new
// for hands over to ipc-server.sh, which looks for a better one and is told which program it is. Answers whether it did.
// biome-ignore-all lint: as above
function handOver(program) {
  var version = process.versions.node.split(".").map(Number);
  if (version[0] > 22 || (version[0] === 22 && version[1] >= 14)) return false;
  var script = require("path").join(__dirname, "ipc-server.sh");
  var better = require("child_process").spawn("sh", [script, "--program", program].concat(process.argv.slice(2)), {
    stdio: "inherit",
  });
  ["SIGINT", "SIGTERM", "SIGHUP"].forEach(function (signal) {
    process.on(signal, function () {
      better.kill(signal);
    });
  });
  better.on("error", function () {
    process.stderr.write("Error: el-ipc needs Node.js 22.14 or newer, and this is " + process.version + "\n");
    process.exit(1);
  });
  better.on("exit", function (code, signal) {
    process.exit(code === null ? 128 + require("os").constants.signals[signal] : code);
  });
  return true;
}
