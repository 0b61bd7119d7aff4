interface Reads {
  going: Promise<unknown>;
  next: Promise<unknown> | undefined;
}

export type Share = <T>(what: string, read: () => Promise<T>) => Promise<T>;

/**
 * Who asks for what is being read already shares the next read with all who do: each is told what was so after it asked,
 * and in its turn. So of two who ask for the same things nobody overtakes the other.
 */
export function createSharing(): Share {
  const known = new Map<string, Reads>();

  const settled = async (what: string, reads: Reads, read: Promise<unknown>): Promise<void> => {
    await read.catch(() => {});
    if (reads.going === read && reads.next === undefined) known.delete(what);
  };

  return <T>(what: string, read: () => Promise<T>): Promise<T> => {
    const reads = known.get(what);
    if (reads === undefined) {
      const going = read();
      const first: Reads = { going, next: undefined };
      known.set(what, first);
      void settled(what, first, going);
      return going;
    }
    reads.next ??= reads.going
      .catch(() => {})
      .then(() => {
        const going = read();
        reads.going = going;
        reads.next = undefined;
        void settled(what, reads, going);
        return going;
      });
    return reads.next as Promise<T>;
  };
}
