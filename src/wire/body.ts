/** All of a body, or undefined as soon as it is larger than this many bytes. */
export async function readBody(chunks: AsyncIterable<Uint8Array>, most: number): Promise<Buffer | undefined> {
  const read: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    length += chunk.length;
    if (length > most) return undefined;
    read.push(chunk);
  }
  return Buffer.concat(read);
}
