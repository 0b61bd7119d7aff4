/** Control characters that move a terminal's cursor or recolour it, apart from tab and line feed, and line separators. */
const CONTROL = "[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u2028\\u2029\\ufff9-\\ufffb]";

/** Invisible characters and those that reorder other text. Joiners and selectors have rules of their own. */
const INVISIBLE = "(?![\\u200c\\u200d\\ufe0e\\ufe0f])\\p{Default_Ignorable_Code_Point}";

/** A joiner has a visible effect between pictures, and between letters of these scripts. */
const PICTURES = "(?<=[\\p{Extended_Pictographic}\\p{Emoji_Modifier}\\ufe0f])\\u200d(?=\\p{Extended_Pictographic})";
const SCRIPTS = ["Arabic", "Syriac", "Nko", "Devanagari", "Bengali", "Gurmukhi", "Gujarati", "Oriya", "Tamil", "Telugu"]
  .concat(["Kannada", "Malayalam", "Sinhala", "Myanmar", "Khmer", "Tibetan"])
  .map((script) => `\\p{Script=${script}}`)
  .join("");
const LETTERS = `(?<=[${SCRIPTS}])[\\u200c\\u200d](?=[${SCRIPTS}])`;
const STRAY_JOINER = `(?!${PICTURES}|${LETTERS})[\\u200c\\u200d]`;

/** A selector chooses how a picture looks, or turns a digit into a keycap. */
const STRAY_SELECTOR = "(?<!\\p{Extended_Pictographic})(?!\\ufe0f\\u20e3)[\\ufe0e\\ufe0f]";

const PLAIN = /^[\n\u0020-\u007e]*$/;

let hidden: RegExp | undefined;

/** Replaces characters that could move, hide or reorder other text, or that are invisible themselves. */
export function visible(text: string, replace: (character: string) => string): string {
  if (PLAIN.test(text)) return text;
  // Compiled on first use: most text is plain.
  hidden ??= new RegExp([CONTROL, INVISIBLE, STRAY_JOINER, STRAY_SELECTOR].join("|"), "gu");
  return text.replace(hidden, replace);
}

/** Escapes text for a terminal. Inside JSON the escapes mean the same characters. */
export function printable(text: string): string {
  return visible(text, escapeUnits).replaceAll("\t", escapeUnits);
}

/** Escapes text for use inside a sentence, line feeds included. */
export function onOneLine(text: string): string {
  return printable(text).replaceAll("\n", escapeUnits);
}

/** Escapes each UTF-16 code unit, as JSON does. */
function escapeUnits(character: string): string {
  return Array.from({ length: character.length }, (_, index) => {
    return `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`;
  }).join("");
}
