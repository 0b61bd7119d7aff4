/**
 * Characters that could move a terminal's cursor, recolour it or reorder what it shows: the controls but for the line
 * feed, the line and paragraph separators, and what changes the direction of text.
 */
const UNSAFE = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** The same text for a terminal. Inside JSON the escapes mean the same characters. */
export function printable(text: string): string {
  return text.replace(UNSAFE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
