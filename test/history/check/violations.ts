import { type History, ofKind } from "../events.ts";
import { readingFaults } from "./readings.ts";
import { sendFaults } from "./sends.ts";
import { sessionFaults } from "./sessions.ts";

/** All that a bus may not have done, a sentence each; empty where it kept what it promises. */
export function violations(history: History): readonly string[] {
  return [
    ...history.left.faults,
    ...sendFaults(history),
    ...readingFaults(history),
    ...sessionFaults(history),
    ...sentenceFaults(history),
  ];
}

/** Each violation is one sentence that says why. */
function sentenceFaults({ events }: History): string[] {
  return ofKind(events, "said")
    .filter(({ text }) => !/^Error: (?!Internal error)[^\n]+\n?$/.test(text))
    .map(({ who, text }) => `${who} said ${JSON.stringify(text)}`);
}
