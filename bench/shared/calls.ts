/** CNI calls as a runtime makes them, timed from the start of the first plugin of a chain to the end of its last. */
import { fileURLToPath } from 'node:url';
import { namespacePath, run } from '../../lab/namespaces.ts';
import { hostName } from './cluster.ts';

const LAUNCHER = fileURLToPath(new URL('../../build/bench-launcher', import.meta.url));

/** A plugin of a chain; `"@"` as a value in its configuration is the result of the one before. */
export type Step = { program: string; configuration: object };

export type Call = { id: string; namespace: string; steps: readonly Step[] };

export type Timed = {
  /** Microseconds of each call. */
  calls: number[];
  wallMicros: number;
};

/**
 * @param node where the plugins run; their order is reversed for DEL, as the specification wants it.
 * @throws Error when a call fails.
 */
export async function launch(
  node: string,
  path: string,
  command: 'ADD' | 'DEL',
  calls: readonly Call[],
  concurrency: number,
): Promise<Timed> {
  const lines = calls.map(({ id, namespace, steps }) => {
    const chain = command === 'ADD' ? steps : steps.toReversed();
    const plugins = chain.flatMap(({ program, configuration }) => [
      program,
      // A DEL has no result to hand on.
      JSON.stringify(configuration, (_, value: unknown) =>
        command === 'DEL' && value === '@' ? undefined : value,
      ),
    ]);
    return [id, command, id, namespacePath(namespace), 'eth0', path, ...plugins].join('\t');
  });
  const enter = [`--net=${namespacePath(hostName(node))}`, LAUNCHER, String(concurrency)];
  const output = await run('nsenter', enter, `${lines.join('\n')}\n`);
  const timed: Timed = { calls: [], wallMicros: 0 };
  for (const line of output.split('\n').filter(Boolean)) {
    const one = JSON.parse(line) as {
      micros?: number;
      status?: number;
      refusal?: { msg?: string };
      wallMicros?: number;
    };
    if (one.refusal !== undefined)
      throw new Error(`${command} failed: ${one.refusal.msg ?? 'no reason given'}`);
    if (one.wallMicros !== undefined) timed.wallMicros = one.wallMicros;
    else if (one.status === 0) timed.calls.push(one.micros!);
  }
  return timed;
}
