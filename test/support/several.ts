/** So many of the same, opened at once, and closed with the block that has them. */
export async function several<T extends AsyncDisposable>(count: number, open: () => Promise<T>) {
  const stack = new AsyncDisposableStack();
  const all = await Promise.all(Array.from({ length: count }, async () => stack.use(await open())));
  return Object.assign(all, { [Symbol.asyncDispose]: () => stack.disposeAsync() });
}
