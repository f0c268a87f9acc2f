/** `fairlead why`. */

import type { AgentStatus } from '../agent/serve/status.ts';
import { FairleadError } from '../base/errors/errors.ts';
import { cidrContains, parseCidr } from '../base/ip/cidr.ts';
import { type Explanation, formatExplanation } from '../plan/policy/answer/why.ts';
import { askAgent } from '../tools/status/ask.ts';
import { describePath } from '../tools/status/format.ts';
import { type Command, EXIT } from './command.ts';
import { DEFAULT_SOCKET } from './status.ts';

export const whyCommand: Command = {
  name: 'why',
  synopsis: 'SOURCE DESTINATION [--port PORT] [--proto tcp] [--socket PATH] [-o json]',
  summary:
    'Whether a connection is allowed or denied, by which policy and rule on which side, and the path that it takes from this node. Ends are pods (NAMESPACE/NAME), addresses, node/NAME, and as destination a service (svc/NAMESPACE/NAME, or its address).',
  options: {
    port: { type: 'string' },
    proto: { type: 'string' },
    protocol: { type: 'string' },
    socket: { type: 'string' },
    output: { type: 'string', short: 'o' },
  },
  optionHelp: {
    port: 'of the destination; not for icmp, nor needed for a service that has one alone',
    proto: 'tcp, udp, sctp or icmp (default tcp)',
    protocol: 'the same as --proto',
    socket: `the agent's socket (default ${DEFAULT_SOCKET})`,
    output: 'json: everything, for programs',
  },
  positionals: [2, 2],
  run: async ([source = '', destination = ''], { port, proto, protocol, socket, output }) => {
    const path = typeof socket === 'string' ? socket : DEFAULT_SOCKET;
    const query = new URLSearchParams({ source, destination, protocol: String(proto ?? protocol ?? 'tcp') });
    if (port !== undefined) query.set('port', String(port));
    const answer = (await askAgent(path, `/why?${query.toString()}`)) as Explanation | { error: string };
    if ('error' in answer) throw new FairleadError('FL_USAGE', `why: ${answer.error}`);
    const way = pathTo((await askAgent(path, '/status')) as AgentStatus, answer);
    process.stdout.write(
      output === 'json'
        ? `${JSON.stringify({ ...answer, path: way }, null, 2)}\n`
        : `${formatExplanation(answer)}  path    ${way}\n`,
    );
    return answer.allowed ? EXIT.ok : EXIT.failed;
  },
};

/** How this node would send it. */
function pathTo({ node, attachments, peers, readiness }: AgentStatus, { destination }: Explanation): string {
  if (destination.node !== undefined)
    return destination.node === node
      ? 'to this node itself'
      : `to node ${destination.node}: by its own address, outside of the pod network`;
  const own = attachments.find(({ ips }) => ips.includes(destination.ip));
  if (own !== undefined) return `on this node, by its interface ${own.interface}`;
  for (const { name, ranges, paths } of peers) {
    if (!ranges.some((range) => cidrContains(parseCidr(range), destination.ip))) continue;
    const way = paths.find(({ family }) => (family === 6) === destination.ip.includes(':'))?.path;
    return `to node ${name}: ${way === undefined ? 'no path yet' : describePath(way)}`;
  }
  const inside =
    readiness.ready && readiness.view.ranges.some((range) => cidrContains(parseCidr(range), destination.ip));
  return inside
    ? 'nowhere: no pod of this node has that address'
    : 'out of the cluster, with the address of the node';
}
