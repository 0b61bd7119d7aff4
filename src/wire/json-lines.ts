/** One JSON value a line, in UTF-8. */
export function encodeLine(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true });

/** The value on a line; undefined, which JSON has no word for, where it is none. */
export function decodeLine(line: Uint8Array): unknown {
  try {
    return JSON.parse(strictUtf8.decode(line));
  } catch {
    return undefined;
  }
}

export interface LineSplitter {
  /** Hands over each line that these bytes complete. False where a line is longer than it may be: nothing more is taken. */
  push(bytes: Buffer, each: (line: Buffer) => void): boolean;
  /** How much of a line has come that isn't whole yet, in bytes. */
  readonly held: number;
  /** What came behind the last line end. */
  rest(): Buffer;
}

const LINE_END = 0x0a;

/** Cuts bytes that come in pieces into lines of so many bytes at most. */
export function createLineSplitter(most: number): LineSplitter {
  let pieces: Buffer[] = [];
  let held = 0;

  const rest = (last?: Buffer): Buffer => {
    const line = last === undefined ? Buffer.concat(pieces) : Buffer.concat([...pieces, last]);
    pieces = [];
    held = 0;
    return line;
  };

  return {
    push(bytes, each) {
      let from = 0;
      for (let end = bytes.indexOf(LINE_END); end !== -1; end = bytes.indexOf(LINE_END, from)) {
        const last = bytes.subarray(from, end);
        if (held + last.length > most) return false;
        each(held === 0 ? last : rest(last));
        from = end + 1;
      }
      if (from === bytes.length) return true;
      const left = from === 0 ? bytes : bytes.subarray(from);
      held += left.length;
      if (held > most) return false;
      pieces.push(left);
      return true;
    },
    get held() {
      return held;
    },
    rest: () => rest(),
  };
}
