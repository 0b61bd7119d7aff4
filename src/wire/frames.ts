/** A JSON object that travels as one WebSocket message. */
export type Frame = Readonly<Record<string, unknown>>;

/** A client's connection to a WebSocket server. */
export interface FrameConnection extends AsyncDisposable {
  send(frame: Frame): void;
  /** Each frame received, until the connection ends. */
  readonly frames: AsyncIterable<Frame>;
}
