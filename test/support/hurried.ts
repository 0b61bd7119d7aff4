/** An environment in which a program is in a hurry. */
export const hurried = {
  NODE_OPTIONS: `--no-warnings --import=${new URL("hurry.ts", import.meta.url).href}`,
} as const;
