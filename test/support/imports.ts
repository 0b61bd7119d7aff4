/** An import of a source file. */
export interface Import {
  /** Undefined where the name isn't written out, so that nobody can say what it is. */
  readonly module: string | undefined;
  /** `lazy`: nothing is loaded when the file is: its types alone, or only once it is asked for. */
  readonly how: "lazy" | "at once";
  readonly line: number;
}

const NAME = /\s*(?:\/\*.*?\*\/\s*)?(?:(["'`])([^"'`$]+)\1\s*[,)])?/;

const forms: readonly (readonly [RegExp, Import["how"]])[] = [
  [/\b(?:import|export)\s+type\b[^"'`;()=]*?\bfrom\s*(["'])([^"']+)\1/g, "lazy"],
  [/\b(?:import|export)\b(?!\s*type\s+[\w{*][^"'`]*\bfrom\b)[^"'`;()=]*?\bfrom\s*(["'])([^"']+)\1/g, "at once"],
  [/\bimport\s*(["'])([^"']+)\1/g, "at once"],
  [new RegExp(`\\bimport\\s*\\(${NAME.source}`, "g"), "lazy"],
  [new RegExp(`\\bgetBuiltinModule\\s*(?:\\?\\.)?\\(${NAME.source}`, "g"), "lazy"],
  [new RegExp(`\\b(?:require|createRequire)\\s*\\(${NAME.source}`, "g"), "at once"],
];

/** Every module that a TypeScript source names, in whatever way: static, dynamic, as a type, or asked of the process. */
export function importsOf(source: string): Import[] {
  return forms.flatMap(([form, how]) =>
    [...source.matchAll(form)].map((match) => ({
      module: match[2],
      how,
      line: source.slice(0, match.index).split("\n").length,
    })),
  );
}
