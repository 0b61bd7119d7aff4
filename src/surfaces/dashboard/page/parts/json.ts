/** What is wrong with a text that should be JSON, as a sentence; undefined where nothing is. */
export function jsonFault(text: string): string | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    const why = error instanceof Error ? error.message : "";
    return `This is not JSON: ${why.replace(/, "[\s\S]*$| is not valid JSON$/, "").slice(0, 120)}`;
  }
}
