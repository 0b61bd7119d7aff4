import type { Running } from "./processes.ts";

/** The answer of a worker: a line of JSON, an object of figures. */
export interface Answer {
  number(name: string): number;
  numbers(name: string): readonly number[];
}

export async function answerOf(program: Running): Promise<Answer> {
  return parseAnswer(await program.line());
}

export function parseAnswer(text: string): Answer {
  const answer: unknown = JSON.parse(text);
  const get = (name: string): unknown =>
    typeof answer === "object" && answer !== null && name in answer
      ? Object.getOwnPropertyDescriptor(answer, name)?.value
      : undefined;
  return {
    number(name) {
      const value = get(name);
      if (typeof value === "number") return value;
      throw new Error(`no number ${name} in ${text.slice(0, 200)}`);
    },
    numbers(name) {
      const value = get(name);
      if (Array.isArray(value) && value.every((one) => typeof one === "number")) return value;
      throw new Error(`no numbers ${name} in ${text.slice(0, 200)}`);
    },
  };
}
