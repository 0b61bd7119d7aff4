/** A verb as the name of a method: `channel send` is `channelSend`. */
export function methodName(verb: string): string {
  return verb.replace(/[ -](.)/g, (_, letter: string) => letter.toUpperCase());
}

export type MethodName<Verb extends string> = Verb extends `${infer First} ${infer Rest}`
  ? `${MethodName<First>}${Capitalize<MethodName<Rest>>}`
  : Verb extends `${infer First}-${infer Rest}`
    ? `${First}${Capitalize<MethodName<Rest>>}`
    : Verb;
