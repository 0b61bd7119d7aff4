import { formatColumns } from "../../client/arguments.ts";
import { isOperation, optionsOf, positionalsOf, type Verb } from "./arguments.ts";

export function usageOf(verb: Verb): string {
  const positionals = positionalsOf(verb);
  const words = positionals.map((name) => (verb.input.fields[name]?.optional ? `[${name}]` : `<${name}>`));
  const demanded = Object.entries(verb.input.fields)
    .filter(([name, field]) => !field.optional && !positionals.includes(name))
    .map(([name, field]) => `--${field.flag ?? name} ${field.given === "file" ? "FILE" : name.toUpperCase()}`);
  const key = isOperation(verb) && verb.signature?.required ? ["--key FILE"] : [];
  return ["el-ipc", verb.name, ...words, ...demanded, ...key, "[options]"].join(" ");
}

export function helpOf(verb: Verb): string {
  const words = new Set(positionalsOf(verb).map((name) => verb.input.fields[name]?.flag ?? name.replaceAll("_", "-")));
  const listed = optionsOf(verb).map(({ flag, description, value }): [string, string] => [
    words.has(flag) ? `<${flag}> or --${flag} ${value}` : `--${flag}${value === undefined ? "" : ` ${value}`}`,
    description,
  ]);
  return [
    `${verb.summary}.`,
    "",
    `Usage: ${usageOf(verb)}`,
    ...(verb.details === undefined ? [] : ["", verb.details]),
    "",
    "Options:",
    ...formatColumns(listed),
    ...(verb.examples.length === 0 ? [] : ["", "Examples:", ...verb.examples.map((example) => `  ${example}`)]),
  ].join("\n");
}

export function familyHelp(word: string, verbs: readonly Verb[]): string {
  return [
    `Usage: el-ipc ${word} <command> [words] [options]`,
    "",
    ...formatColumns(verbs.map(({ name, summary }) => [name, summary] as const)),
    "",
    `More of one: el-ipc ${verbs[0]?.name ?? word} --help`,
  ].join("\n");
}

export function overview(verbs: readonly Verb[], version: string): string {
  return [
    `el-ipc ${version}: a durable, signed message bus for coding agents and the people beside them.`,
    "",
    "Usage: el-ipc <command> [words] [options]",
    "",
    "Commands:",
    ...formatColumns([
      ...verbs.map((verb): [string, string] => [verb.name, verb.summary]),
      ["help", "Print this, or the help of a command: el-ipc help send"],
    ]),
    "",
    "Options of every command: --json, --help. With --url URL a command works against a server,\nwith --store URL on the bus that a NATS server keeps.",
    "",
    "Environment:",
    ...formatColumns([
      ["IPC_DB_PATH", "The database (/tmp/el-ipc.db)"],
      ["IPC_STORE", "The NATS server that keeps the bus instead: nats://HOST:PORT"],
      ["IPC_URL", "The server to ask instead of the database"],
      ["IPC_PORT", "The port that serve listens on (9876)"],
      ["IPC_API_KEY", "The key that a server asks for and that its clients show"],
      ["IPC_AGENT", "Your name, where a command leaves it out"],
      ["IPC_KEY", "The private key file to sign with"],
      ["IPC_DURABILITY", "full (survives a power cut) or normal (survives a kill)"],
    ]),
  ].join("\n");
}
