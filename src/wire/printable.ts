/**
 * Characters that could move a terminal's cursor, recolour it or reorder what it shows: the C1 controls, the line and
 * paragraph separators, and what changes the direction of text. (C0 is escaped by JSON and refused in names.)
 */
const UNSAFE = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** The same text for a terminal. Inside JSON the escapes mean the same characters. */
export function printable(text: string): string {
  return text.replace(UNSAFE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
