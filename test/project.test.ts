import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

type Json = Readonly<Record<string, unknown>>;

function isJson(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A record in a record; an empty one where there is none. */
function within(outer: Json, ...keys: string[]): Json {
  let found: unknown = outer;
  for (const key of keys) found = isJson(found) ? found[key] : undefined;
  return isJson(found) ? found : {};
}

function json(...path: string[]): Json {
  const value: unknown = JSON.parse(readFileSync(join(root, ...path), "utf8"));
  assert.ok(isJson(value));
  return value;
}

const npm = json("package.json");
const lock = json("package-lock.json");
const packages = within(lock, "packages");
const locked = Object.keys(packages)
  .filter((path) => path !== "")
  .map((path): [string, Json] => [path, within(packages, path)]);

suite("the lock file", () => {
  test("says what package.json says, so that `npm ci` accepts it", () => {
    const own = within(packages, "");
    for (const key of [
      "name",
      "version",
      "license",
      "bin",
      "engines",
      "devDependencies",
      "optionalDependencies",
      "dependencies",
    ]) {
      assert.deepEqual(own[key], npm[key], key);
    }
    assert.equal(lock.version, npm.version);
    assert.equal(lock.lockfileVersion, 3);
  });

  test("names no host, so that it works with whatever registry a user has", () => {
    for (const [path, entry] of locked) assert.equal(entry.resolved, undefined, path);
  });

  test("says of everything which bytes it must be", () => {
    for (const [path, entry] of locked) assert.match(String(entry.integrity), /^sha512-/, path);
  });

  test("doesn't say which Node better-sqlite3 needs, or an older one that runs npm would leave it out (scripts/mend-lock.ts)", () => {
    const entry = within(packages, "node_modules/better-sqlite3");
    assert.equal(entry.version, within(npm, "optionalDependencies")["better-sqlite3"]);
    assert.equal(entry.optional, true);
    assert.ok(!("engines" in entry), "run `npm run lock`, which takes it out");
  });

  test("holds every dependency that is named, in exactly the version that is named", () => {
    for (const kind of ["dependencies", "devDependencies", "optionalDependencies"]) {
      for (const [name, version] of Object.entries(within(npm, kind))) {
        assert.match(String(version), /^\d+\.\d+\.\d+$/, `${name} is pinned`);
        assert.equal(within(packages, `node_modules/${name}`).version, version, name);
      }
    }
  });

  test("holds what these need in turn, the binaries of every platform included", () => {
    const present = new Set(locked.map(([path]) => path));
    for (const [path, entry] of locked) {
      const needs = { ...within(entry, "dependencies"), ...within(entry, "optionalDependencies") };
      for (const name of Object.keys(needs)) {
        const places = [`${path}/node_modules/${name}`, `node_modules/${name}`];
        assert.ok(
          places.some((place) => present.has(place)),
          `${path} needs ${name}`,
        );
      }
    }
    for (const platform of ["linux-x64", "linux-arm64", "darwin-arm64", "win32-x64"]) {
      for (const binary of [`@biomejs/cli-${platform}`, `@esbuild/${platform}`]) {
        assert.ok(
          present.has(`node_modules/${binary}`),
          `${binary} is missing: delete node_modules and run npm run lock`,
        );
      }
    }
  });

  test("leaves it to no package whether its scripts run: a plugin's `npm ci --ignore-scripts` must be enough", () => {
    const decided = within(npm, "allowScripts");
    const running = locked.filter(([, entry]) => entry.hasInstallScript === true && entry.optional !== true);
    for (const [path] of running)
      assert.ok(path.replace(/^.*node_modules\//, "") in decided, `${path}: see allowScripts`);
    assert.equal(decided["better-sqlite3"], false, "its binaries come with it");
  });
});

suite("the package", () => {
  test("has one version, wherever it is said", () => {
    assert.equal(json(".claude-plugin", "plugin.json").version, npm.version);
    assert.match(String(npm.version), /^\d+\.\d+\.\d+$/);
  });

  test("needs nothing at run time but what is built into it, and better-sqlite3 where that can be had", () => {
    assert.deepEqual(within(npm, "dependencies"), {});
    assert.deepEqual(Object.keys(within(npm, "optionalDependencies")), ["better-sqlite3"]);
    assert.equal(npm.overrides, undefined, "with overrides a plugin install fetches nothing");
  });

  test("has the files that it says it has", () => {
    const { files } = npm;
    assert.ok(Array.isArray(files) && files.length > 0);
    for (const file of [...files.filter((file) => file !== "CHANGELOG.md"), ...Object.values(within(npm, "bin"))]) {
      assert.ok(existsSync(join(root, String(file))), `${file} is named in package.json and isn't there`);
    }
  });

  test("scripts run nothing that isn't there", () => {
    for (const [name, command] of Object.entries(within(npm, "scripts"))) {
      for (const [, file] of String(command).matchAll(/\bnode (?:--import )?(\S+)/g))
        assert.ok(existsSync(join(root, String(file))), `${name}: ${file}`);
      for (const [, script] of String(command).matchAll(/\bnpm run (?:--silent )?(\S+)/g)) {
        assert.ok(String(script) in within(npm, "scripts"), `${name}: ${script}`);
      }
    }
  });

  test("has a change log with a place for what comes next", {
    skip: !existsSync(join(root, "CHANGELOG.md")) && "there is none yet",
  }, () => {
    const log = readFileSync(join(root, "CHANGELOG.md"), "utf8");
    assert.match(log, /^## Pending\b/m);
    assert.ok(log.includes(String(npm.version)) || /^## Pending\n+\S/m.test(log), "it says something of this version");
  });
});

/** Of the machine on which something was made; that of an example is called `you` or so. */
const PATHS_OF_A_MACHINE = new RegExp(
  [
    `/${"root"}/`,
    `/${"work"}/`,
    "/home/(?!you\\b|user\\b|me\\b|linuxbrew\\b|<)[a-z]+",
    "/Users/(?!you\\b|user\\b|me\\b|<)[A-Za-z]+",
  ]
    .map((path) => `(?<![\\w.:$}/-])${path}`)
    .join("|"),
);

test("no committed file names a path of the machine on which it was made", (t) => {
  let listed: string;
  try {
    listed = execFileSync("git", ["ls-files", "-z"], {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
  } catch {
    return t.skip("this is no git clone");
  }
  const files = listed.split("\0").filter((path) => path !== "" && existsSync(join(root, path)));
  assert.ok(files.length > 50);
  for (const path of files) {
    const bytes = readFileSync(join(root, path));
    if (bytes.includes(0) || path === "package-lock.json" || path === "test/project.test.ts") continue;
    const [found] = PATHS_OF_A_MACHINE.exec(bytes.toString("utf8")) ?? [];
    assert.equal(found, undefined, `${path} holds ${found}`);
  }
});
