/** So many of the same, closed with the block that has them. */
export async function several<T extends AsyncDisposable>(count: number, open: () => Promise<T>) {
  await using opening = new AsyncDisposableStack();
  const all: T[] = [];
  for (let n = 0; n < count; n++) all.push(opening.use(await open()));
  const opened = opening.move();
  return Object.assign(all, { [Symbol.asyncDispose]: () => opened.disposeAsync() });
}
