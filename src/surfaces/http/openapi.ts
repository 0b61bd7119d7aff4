/** What this server can be asked, as scripts/openapi.ts says it. It lies beside what is built, and is read for whoever asks. */
export async function openApi(): Promise<unknown> {
  const { readFile } = await import("node:fs/promises");
  return JSON.parse(await readFile(`${import.meta.dirname}/openapi.json`, "utf8"));
}
