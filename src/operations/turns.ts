/**
 * Does one thing after the other, each when the one before has ended: so a connection's large answers are made as they are
 * read. What is waiting for its turn when nobody is there any more isn't done.
 */
export function createTurns(isThere: () => boolean): (act: () => Promise<void>) => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  return (act) => {
    const turn = last.then(async () => {
      if (isThere()) await act();
    });
    last = turn.catch(() => {});
    return turn;
  };
}
