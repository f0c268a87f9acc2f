/** All that is tracked, as one list: tests track few. */
import type { Conntrack } from '../../src/edge/conntrack/conntrack.ts';
import type { Connection } from '../../src/edge/conntrack/list.ts';

export async function connectionsOf(conntrack: Conntrack): Promise<Connection[]> {
  const all: Connection[] = [];
  for await (const some of conntrack.walk()) all.push(...some);
  return all;
}
