/** One JSON value per line, in UTF-8. */
export function encodeLine(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true });

/** Returns undefined, which JSON can't express, for a line that isn't JSON. */
export function decodeLine(line: Uint8Array): unknown {
  try {
    return JSON.parse(strictUtf8.decode(line));
  } catch {
    return undefined;
  }
}

export interface LineSplitter {
  /** Calls `each` for every completed line. Returns false if a line is too long; the splitter is unusable then. */
  push(bytes: Buffer, each: (line: Buffer) => void): boolean;
  /** The number of bytes in the unfinished line. */
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
    const line = Buffer.concat(last === undefined ? pieces : [...pieces, last]);
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
