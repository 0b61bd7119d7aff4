/** How many half seconds this process counts until something happens: what delays that on a busy machine delays the count, too. */
export async function halfSecondsUntil(happens: Promise<unknown>): Promise<number> {
  let count = 0;
  const clock = setInterval(() => {
    count++;
  }, 500);
  await happens.finally(() => clearInterval(clock));
  return count;
}
