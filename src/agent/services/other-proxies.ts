/** Whether another one serves the services of this node: kube-proxy by each of its ways. */
import { request } from '../../base/http/http.ts';
import type { Kernel } from '../../edge/netlink/kernel.ts';
import type { Nftables } from '../../edge/nftables/nft.ts';
import { SERVER } from './health-server.ts';

/** kube-proxy’s own, whatever it is set to. */
const HEALTH = { host: '127.0.0.1', port: 10256, path: '/healthz' } as const;
const PATIENCE_MS = 1000;

/** @param asksHealth not where the port is our own. @returns by what one shows, in a few words each. */
export async function findOtherProxies(
  nftables: Pick<Nftables, 'chains'>,
  kernel: Pick<Kernel, 'links'>,
  asksHealth: boolean,
): Promise<string[]> {
  const chains = await nftables.chains();
  const tables = new Set(chains.map((chain) => chain.split(' ').slice(0, 2).join(' ')));
  const signs = [
    ...['ip kube-proxy', 'ip6 kube-proxy']
      .filter((table) => tables.has(table))
      .map((table) => `table ${table}`),
    ...chains.filter((chain) => chain.endsWith(' KUBE-SERVICES')).map((chain) => `chain ${chain}`),
    ...(kernel.links().some(({ name }) => name === 'kube-ipvs0') ? ['device kube-ipvs0'] : []),
  ];
  if (asksHealth && (await answersAsProxy())) signs.push('an answer at port 10256');
  return signs;
}

function answersAsProxy(): Promise<boolean> {
  return new Promise((resolve) => {
    const question = request({ ...HEALTH, timeout: PATIENCE_MS }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body = (body + text).slice(0, 4096)));
      response.on('end', () => resolve(response.headers.server !== SERVER && body.includes('lastUpdated')));
      response.on('error', () => resolve(false));
    });
    question.on('timeout', () => question.destroy());
    question.on('error', () => resolve(false));
    question.end();
  });
}
