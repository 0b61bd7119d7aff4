/** What could move a terminal's cursor or recolour it, but for tab and line feed, and what ends a line. */
const CONTROL = "[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u2028\\u2029\\ufff9-\\ufffb]";

/** What nobody sees, or what turns other text around. Joiners and selectors have rules of their own. */
const UNSEEN = "(?![\\u200c\\u200d\\ufe0e\\ufe0f])\\p{Default_Ignorable_Code_Point}";

/** A joiner is seen where it joins pictures, or letters of a script that has use for one. */
const PICTURES = "(?<=[\\p{Extended_Pictographic}\\p{Emoji_Modifier}\\ufe0f])\\u200d(?=\\p{Extended_Pictographic})";
const SCRIPTS = ["Arabic", "Syriac", "Nko", "Devanagari", "Bengali", "Gurmukhi", "Gujarati", "Oriya", "Tamil", "Telugu"]
  .concat(["Kannada", "Malayalam", "Sinhala", "Myanmar", "Khmer", "Tibetan"])
  .map((script) => `\\p{Script=${script}}`)
  .join("");
const LETTERS = `(?<=[${SCRIPTS}])[\\u200c\\u200d](?=[${SCRIPTS}])`;
const STRAY_JOINER = `(?!${PICTURES}|${LETTERS})[\\u200c\\u200d]`;

/** It says how a picture looks, or makes a key of a digit. */
const STRAY_SELECTOR = "(?<!\\p{Extended_Pictographic})(?!\\ufe0f\\u20e3)[\\ufe0e\\ufe0f]";

const PLAIN = /^[\n\u0020-\u007e]*$/;

let hidden: RegExp | undefined;

/** The same text, with whatever could move, hide or reorder other text, or isn't seen itself, said in another way. */
export function visible(text: string, said: (character: string) => string): string {
  if (PLAIN.test(text)) return text;
  // Made when it is needed: most of what is printed is plain.
  hidden ??= new RegExp([CONTROL, UNSEEN, STRAY_JOINER, STRAY_SELECTOR].join("|"), "gu");
  return text.replace(hidden, said);
}

/** The same text for a terminal. Inside JSON the escapes mean the same characters. */
export function printable(text: string): string {
  return visible(text, escaped).replaceAll("\t", escaped);
}

/** The same text where it stands in a sentence, which it can't break. */
export function onOneLine(text: string): string {
  return printable(text).replaceAll("\n", escaped);
}

/** Unit by unit, as JSON has it. */
function escaped(character: string): string {
  return Array.from({ length: character.length }, (_, index) => {
    return `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`;
  }).join("");
}
