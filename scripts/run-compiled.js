// Runs second in sources.d/ipc-server.js (see build.ts): loads the command line's code, and keeps what V8 compiled of it
// for the next start, which saves that a third of its time. Kept for each build and each Node, where only its user can
// write; of a file that somebody else could have written nothing is run. Where nothing can be kept, all works the same.
// biome-ignore-all lint/correctness/noUnusedVariables: build.ts calls it
function runCompiled(name, build, runs) {
  const fs = require("node:fs");
  const { Script } = require("node:vm");
  const { HOME, XDG_CACHE_HOME } = process.env;
  const user = process.getuid === undefined ? -1 : process.getuid();
  const home = XDG_CACHE_HOME || HOME || "";
  const mayKeep = user !== -1 && home.startsWith("/");
  const folder = `${XDG_CACHE_HOME || `${HOME}/.cache`}/el-ipc`;
  const kept = `${folder}/${build}-${process.version}-${process.arch}`;
  const isOurs = (found) => found.uid === user && (found.mode & 0o022) === 0;

  /** The compiled code, and behind its last line break the verbs that it was made with: others run other functions. */
  const read = () => {
    try {
      const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
      const opened = fs.openSync(kept, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
      try {
        const found = fs.fstatSync(opened);
        if (!found.isFile() || !isOurs(found)) return undefined;
        const bytes = fs.readFileSync(opened);
        const end = bytes.lastIndexOf("\n");
        return { code: bytes.subarray(0, end), verbs: bytes.latin1Slice(end + 1).split(" ") };
      } finally {
        fs.closeSync(opened);
      }
    } catch {
      return undefined;
    }
  };

  const keep = (verbs) => {
    try {
      // A home folder that isn't this user's, as with sudo, stays as it is.
      if (!isOurs(fs.statSync(home))) return;
      fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
      if (!isOurs(fs.lstatSync(folder))) return;
      const unfinished = `${kept}-${process.pid}`;
      const bytes = Buffer.concat([script.createCachedData(), Buffer.from(`\n${verbs.join(" ")}`)]);
      fs.writeFileSync(unfinished, bytes, { mode: 0o600, flag: "wx" });
      fs.renameSync(unfinished, kept);
      for (const other of fs.readdirSync(folder)) {
        const age = Date.now() - fs.lstatSync(`${folder}/${other}`).mtimeMs;
        if (age > 30 * 24 * 3_600_000) fs.unlinkSync(`${folder}/${other}`);
      }
    } catch {
      // As above.
    }
  };

  const found = mayKeep ? read() : undefined;
  const file = `${__dirname}/${name}`;
  const source = `(function (exports, require, module, __filename, __dirname) {${fs.readFileSync(file, "latin1")}\n})`;
  const script = new Script(source, { filename: file, cachedData: found?.code });
  const verb = String(process.argv[2]).replace(/[^a-z]/g, "");
  const verbs = found === undefined || script.cachedDataRejected ? [] : found.verbs;
  if (mayKeep && !verbs.includes(verb)) process.once("exit", (code) => code === 0 && keep([...verbs, verb]));
  script.runInThisContext()(exports, require, module, file, __dirname);
  if (runs !== undefined) module.exports.modules[runs]();
}
