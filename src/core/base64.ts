/** The bytes of canonical, padded base64; undefined for anything else, where Buffer would skip what it can't read. */
export function strictBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : undefined;
}
