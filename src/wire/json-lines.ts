/** One JSON value per line, in UTF-8. */
export function encodeLine(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true });

/** The value on a line; undefined, which JSON can't express, if the line is no JSON. */
export function decodeLine(line: Uint8Array): unknown {
  try {
    return JSON.parse(strictUtf8.decode(line));
  } catch {
    return undefined;
  }
}

export interface LineSplitter {
  /** Calls `each` for every line that these bytes complete. False if a line is too long; the splitter is unusable then. */
  push(bytes: Buffer, each: (line: Buffer) => void): boolean;
  /** Bytes of an unfinished line. */
  readonly held: number;
  /** Removes and returns the unfinished line. */
  rest(): Buffer;
}

const LINE_END = 0x0a;

/** Cuts chunks of bytes into lines of at most `maxBytes`. */
export function createLineSplitter(maxBytes: number): LineSplitter {
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
        if (held + last.length > maxBytes) return false;
        each(held === 0 ? last : rest(last));
        from = end + 1;
      }
      if (from === bytes.length) return true;
      const left = from === 0 ? bytes : bytes.subarray(from);
      held += left.length;
      if (held > maxBytes) return false;
      pieces.push(left);
      return true;
    },
    get held() {
      return held;
    },
    rest: () => rest(),
  };
}
