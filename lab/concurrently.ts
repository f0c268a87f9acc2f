/** Bounded concurrency: this many at a time, the first failure ends it. */
export async function concurrently<T>(
  items: Iterable<T>,
  limit: number,
  task: (item: T) => Promise<void>,
): Promise<void> {
  const waiting = [...items].values();
  const work = async () => {
    for (const item of waiting) await task(item);
  };
  await Promise.all(Array.from({ length: limit }, work));
}
