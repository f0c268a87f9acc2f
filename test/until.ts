/** Waiting for what others do: the kernel, another process. */

const STEP_MS = 5;
/** Far beyond anything that works; it keeps a fault from becoming a hang. */
const LIMIT_MS = 120_000;

/** @param what the condition in words, for the error when it never comes true. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + LIMIT_MS;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await pause(STEP_MS);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
