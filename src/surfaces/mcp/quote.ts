import type { Quote } from "../../operations/tool.ts";
import { visible } from "../../wire/printable.ts";

/** What an answer holds of others' words, in characters; once that is used up, each is cut to a few. */
const MOST_CHARACTERS = 60_000;
const FEW_CHARACTERS = 200;

/** What could be taken for our own mark, however it is spaced out or dressed up. */
const MARK = /[<\uFE64\uFF1C](?=[\s\p{C}]*[/\u2044\u2215\uFF0F]?[\s\p{C}]*d[\p{C}]*a[\p{C}]*t[\p{C}]*a)/giu;

/** For one answer. Marks what somebody on the bus wrote as theirs; nothing inside can end the mark or make another. */
export function createQuote(): Quote {
  let left = MOST_CHARACTERS;
  return ({ from, text, proof = "unverified" }) => {
    const most = Math.max(left, FEW_CHARACTERS);
    left -= text.length;
    return `<data from="${attribute(from)}" trust="${proof}">${inside(cut(text, most))}</data>`;
  };
}

function inside(text: string): string {
  return shown(text).replace(MARK, "&lt;");
}

function attribute(text: string): string {
  return shown(text).replace(/[&"<>\n\t]/g, (character) => `&#${character.charCodeAt(0)};`);
}

function shown(text: string): string {
  return visible(text, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

function cut(text: string, most: number): string {
  if (text.length <= most) return text;
  return `${text.slice(0, most).toWellFormed()} [cut: ${text.length - most} more characters]`;
}
