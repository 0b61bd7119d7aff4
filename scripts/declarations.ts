// The types of the library as one file: what tsc says of its modules, without what nobody who imports it can see.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, normalize } from "node:path";

const IMPORT = /^import (?:type )?\{(.*)\} from "([^"]+)";$/s;
const PASSED_ON = /^export (?:type )?\{([^}]*)\}(?: from "[^"]+")?;$/s;
const DECLARED = /^(?:\/\*\*.*?\*\/\n)?(?:export )?(?:declare )?(?:const|function|type|interface|class) (\w+)/s;

/** `entry` is a path below src, without its ending. */
export function declarationsOf(root: string, entry: string): string {
  const folder = mkdtempSync(join(tmpdir(), "el-ipc-types-"));
  try {
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    execFileSync(process.execPath, [tsc, "-p", join(root, "tsconfig.types.json"), "--outDir", folder], {
      stdio: ["ignore", "inherit", "inherit"],
    });
    return bundled(folder, entry);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function bundled(folder: string, entry: string): string {
  const modules = new Map<string, readonly string[]>();
  const collect = (module: string) => {
    if (modules.has(module)) return;
    const text = readFileSync(join(folder, `${module}.d.ts`), "utf8");
    modules.set(module, statementsOf(text));
    for (const [, from = ""] of text.matchAll(/(?:from |import\()"(\.[^"]+)\.ts"/g)) {
      collect(normalize(join(dirname(module), from)));
    }
  };
  collect(entry);

  const offered = namesIn(modules.get(entry) ?? [], PASSED_ON);
  const outside = new Map<string, string>();
  const declared = new Map<string, string>();
  const functions = new Set<string>();
  for (const statements of modules.values()) {
    for (const text of statements) {
      const [, names = "", from = ""] = IMPORT.exec(text) ?? [];
      if (from !== "" && !from.startsWith(".")) for (const name of listed(names)) outside.set(name, from);
      const [, name] = DECLARED.exec(text) ?? [];
      if (name === undefined) continue;
      if (declared.has(name)) throw new Error(`two declarations are called ${name}: give one of them another name`);
      declared.set(name, plain(text));
      if (/\bdeclare function /.test(text)) functions.add(name);
    }
  }
  for (const text of modules.get(entry) ?? []) {
    const [, name] = DECLARED.exec(text) ?? [];
    if (name !== undefined && /^(?:\/\*\*.*?\*\/\n)?export /s.test(text)) offered.push(name);
  }

  const seen = new Set<string>();
  const see = (name: string) => {
    if (seen.has(name)) return;
    seen.add(name);
    for (const word of wordsIn(declared.get(name) ?? "")) if (!functions.has(word)) see(word);
  };
  for (const name of offered) see(name);
  const imports = [...outside].filter(([name]) => seen.has(name) && !declared.has(name));
  return [
    ...imports.map(([name, from]) => `import type { ${name} } from "${from}";`).toSorted(),
    ...[...declared].filter(([name]) => seen.has(name)).map(([, text]) => text),
    `export { ${offered.toSorted().join(", ")} };\n`,
  ].join("\n");
}

/** A statement each, with the comment before it. */
function statementsOf(text: string): readonly string[] {
  return text
    .trim()
    .split(/\n(?=\/\*\*|(?:import|export|declare|interface|type|class)\b)/)
    .reduce<string[]>((all, part) => {
      const last = all.at(-1);
      if (last !== undefined && /^\/\*\*(?:(?!\*\/).)*\*\/$/s.test(last)) all[all.length - 1] = `${last}\n${part}`;
      else all.push(part);
      return all;
    }, []);
}

/** As it reads where everything is in one file. Of an operation its name, input and answer are told, and not how it does it. */
function plain(text: string): string {
  return text
    .replace(/^export (?=declare |interface |type )/m, "")
    .replaceAll(/\bimport\("\.[^"]+"\)\./g, "")
    .replaceAll("Operation & Typed<", "Typed<");
}

/** The identifiers in a declaration's text. */
function wordsIn(text: string): readonly string[] {
  const said = text.replaceAll(/\/\*\*.*?\*\//gs, "").replaceAll(/"[^"\n]*"/g, "");
  return said.match(/\b[A-Za-z_]\w*\b/g) ?? [];
}

function namesIn(statements: readonly string[], form: RegExp): string[] {
  return statements.flatMap((text) => listed(form.exec(text)?.[1] ?? ""));
}

function listed(names: string): string[] {
  return names
    .split(",")
    .map((name) => name.replace(/\btype\b/, "").trim())
    .filter((name) => name !== "");
}
