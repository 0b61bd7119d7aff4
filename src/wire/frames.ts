/** A JSON object that travels as one WebSocket message. */
export type Frame = Readonly<Record<string, unknown>>;

function isFrame(value: unknown): value is Frame {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Returns undefined for a message that isn't a JSON object. */
export function decodeFrame(text: string): Frame | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isFrame(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export interface FrameConnection extends AsyncDisposable {
  send(frame: Frame): void;
  /** Each frame received, until the connection ends. */
  readonly frames: AsyncIterable<Frame>;
}
