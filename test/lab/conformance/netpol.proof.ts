/** The cases of the upstream suite [sig-network] Netpol by name, on real packets in both families. */
import { test } from 'node:test';
import { inNamespace, ns, oneOf, pod, policy, startWorld } from './world.ts';

const { put, update, remove, check, labelPod, labelNamespace, addressOf } = await startWorld();
const inX = inNamespace('x');
const inY = inNamespace('y');
const denyIngress = policy('x', 'deny-ingress', { ingress: [] });
const port = (number: number | string, protocol = 'TCP') => ({ port: number, protocol });

test('1 should support a default-deny-ingress policy', async () => {
  await put(denyIngress);
  await check({ denied: (_, to) => inX(to) });
});

test('2 should support a default-deny-all policy', async () => {
  await put(policy('x', 'deny-all', { ingress: [], egress: [] }));
  await check({ denied: (from, to) => inX(from) || inX(to) });
});

test('3 should enforce policy to allow traffic from pods within server namespace based on PodSelector', async () => {
  await put(policy('x', 'p', { podSelector: pod('a'), ingress: [{ from: [{ podSelector: pod('b') }] }] }));
  await check({ denied: (from, to) => to === 'x/a' && from !== 'x/b' });
});

test('4 should enforce policy to allow ingress traffic for a target', async () => {
  await put(denyIngress, policy('x', 'target', { podSelector: pod('a'), ingress: [{}] }));
  await check({ denied: (_, to) => inX(to) && to !== 'x/a' });
});

test('5 should enforce policy to allow ingress traffic from pods in all namespaces', async () => {
  await put(policy('x', 'all', { podSelector: pod('a'), ingress: [{ from: [{ namespaceSelector: {} }] }] }));
  await check();
});

test('6 should enforce policy to allow traffic only from a different namespace, based on NamespaceSelector', async () => {
  await put(
    policy('x', 'p', { podSelector: pod('a'), ingress: [{ from: [{ namespaceSelector: ns('y') }] }] }),
  );
  await check({ denied: (from, to) => to === 'x/a' && !inY(from) });
});

test('7 should enforce policy based on PodSelector with MatchExpressions', async () => {
  await put(
    policy('x', 'p', { podSelector: pod('a'), ingress: [{ from: [{ podSelector: oneOf('pod', 'b') }] }] }),
  );
  await check({ denied: (from, to) => to === 'x/a' && from !== 'x/b' });
});

test('8 should enforce policy based on NamespaceSelector with MatchExpressions', async () => {
  await put(
    policy('x', 'p', {
      podSelector: pod('a'),
      ingress: [{ from: [{ namespaceSelector: oneOf('ns', 'y') }] }],
    }),
  );
  await check({ denied: (from, to) => to === 'x/a' && !inY(from) });
});

test('9 should enforce policy based on PodSelector or NamespaceSelector', async () => {
  const from = [{ namespaceSelector: ns('y') }, { podSelector: pod('b') }];
  await put(policy('x', 'p', { podSelector: pod('a'), ingress: [{ from }] }));
  await check({ denied: (one, to) => to === 'x/a' && !inY(one) && one !== 'x/b' });
});

test('10 should enforce policy based on PodSelector and NamespaceSelector', async () => {
  const from = [{ namespaceSelector: ns('y'), podSelector: pod('b') }];
  await put(policy('x', 'p', { podSelector: pod('a'), ingress: [{ from }] }));
  await check({ denied: (one, to) => to === 'x/a' && one !== 'y/b' });
});

test('11 should enforce policy based on Multiple PodSelectors and NamespaceSelectors', async () => {
  const notX = { matchExpressions: [{ key: 'ns', operator: 'NotIn', values: ['x'] }] };
  const from = [{ namespaceSelector: notX, podSelector: oneOf('pod', 'b', 'c') }];
  await put(policy('x', 'p', { podSelector: pod('a'), ingress: [{ from }] }));
  await check({ denied: (one, to) => to === 'x/a' && (inX(one) || one.endsWith('/a')) });
});

test('12 should enforce policy based on any PodSelectors', async () => {
  const from = ['b', 'c'].map((name) => ({ podSelector: pod(name), namespaceSelector: {} }));
  await put(policy('x', 'p', { podSelector: pod('a'), ingress: [{ from }] }));
  await check({ denied: (one, to) => to === 'x/a' && one.endsWith('/a') });
});

test('13 should enforce policy to allow traffic only from a pod in a different namespace based on PodSelector and NamespaceSelector', async () => {
  const from = [{ namespaceSelector: ns('y'), podSelector: pod('a') }];
  await put(policy('x', 'p', { podSelector: pod('a'), ingress: [{ from }] }));
  await check({ denied: (one, to) => to === 'x/a' && one !== 'y/a' });
});

test('14 should enforce policy based on Ports', async () => {
  const rule = { from: [{ namespaceSelector: ns('y') }], ports: [port(81)] };
  await put(policy('x', 'p', { podSelector: pod('a'), ingress: [rule] }));
  await check({
    ports: ['TCP 80', 'TCP 81'],
    denied: (from, to, number) => to === 'x/a' && !(inY(from) && number === 81),
  });
});

test('15 should enforce multiple, stacked policies with overlapping podSelectors', async () => {
  const from = [{ namespaceSelector: ns('y') }];
  await put(policy('x', 'one', { podSelector: pod('a'), ingress: [{ from, ports: [port(81)] }] }));
  const ports = ['TCP 80', 'TCP 81'] as const;
  await check({ ports, denied: (one, to, number) => to === 'x/a' && !(inY(one) && number === 81) });
  await put(policy('x', 'two', { podSelector: pod('a'), ingress: [{ from, ports: [port(80)] }] }));
  await check({ ports, denied: (one, to) => to === 'x/a' && !inY(one) });
});

test('16 should support allow-all policy', async () => {
  await put(policy('x', 'allow-all', { ingress: [{}] }));
  await check({ ports: ['TCP 80', 'TCP 81'] });
});

test('17 should allow ingress access on one named port', async () => {
  await put(policy('x', 'named', { ingress: [{ ports: [port('serve-81-tcp')] }] }));
  await check({
    ports: ['TCP 80', 'TCP 81', 'UDP 81'],
    denied: (_, to, number, protocol) => inX(to) && !(number === 81 && protocol === 'TCP'),
  });
});

test('18 should allow ingress access from namespace on one named port', async () => {
  const rule = { from: [{ namespaceSelector: ns('x') }], ports: [port('serve-80-tcp')] };
  await put(policy('x', 'named', { ingress: [rule] }));
  await check({
    ports: ['TCP 80', 'TCP 81'],
    denied: (from, to, number) => inX(to) && !(inX(from) && number === 80),
  });
});

test('19 should allow egress access on one named port', async () => {
  await put(policy('x', 'named', { egress: [{ ports: [port('serve-80-tcp')] }] }));
  await check({
    ports: ['TCP 80', 'TCP 81', 'UDP 80'],
    denied: (from, _, number, protocol) => inX(from) && !(number === 80 && protocol === 'TCP'),
  });
});

test('20 should enforce updated policy', async () => {
  await put(policy('x', 'p', { ingress: [{}] }));
  await check();
  await update(policy('x', 'p', { ingress: [] }));
  await check({ denied: (_, to) => inX(to) });
});

test('21 should allow ingress access from updated namespace', async () => {
  const from = [{ namespaceSelector: { matchLabels: { ns2: 'updated' } } }];
  await put(policy('x', 'p', { podSelector: pod('a'), ingress: [{ from }] }));
  await check({ denied: (_, to) => to === 'x/a' });
  await labelNamespace('y', { ns2: 'updated' });
  await check({ denied: (one, to) => to === 'x/a' && !inY(one) });
});

test('22 should allow ingress access from updated pod', async () => {
  const from = [{ podSelector: { matchLabels: { pod: 'b', pod2: 'updated' } } }];
  await put(policy('x', 'p', { podSelector: pod('a'), ingress: [{ from }] }));
  await check({ denied: (_, to) => to === 'x/a' });
  await labelPod('x/b', { pod2: 'updated' });
  await check({ denied: (one, to) => to === 'x/a' && one !== 'x/b' });
});

test('23 should deny ingress from pods on other namespaces', async () => {
  await put(policy('x', 'p', { ingress: [{ from: [{ podSelector: {} }] }] }));
  await check({ denied: (from, to) => inX(to) && !inX(from) });
});

test('24 should deny ingress access to updated pod', async () => {
  await put(policy('x', 'p', { podSelector: { matchLabels: { target: 'isolated' } }, ingress: [] }));
  await check();
  await labelPod('x/a', { target: 'isolated' });
  await check({ denied: (_, to) => to === 'x/a' });
});

test('25 should deny egress from pods based on PodSelector', async () => {
  await put(policy('x', 'p', { podSelector: pod('a'), egress: [] }));
  await check({ denied: (from) => from === 'x/a' });
});

test('26 should deny egress from all pods in a namespace', async () => {
  await put(policy('x', 'p', { egress: [] }));
  await check({ denied: (from) => inX(from) });
});

test('27 should work with Ingress, Egress specified together', async () => {
  await put(
    policy('x', 'p', {
      podSelector: pod('a'),
      ingress: [{ from: [{ podSelector: pod('b') }] }],
      egress: [{ ports: [port(80)] }],
    }),
  );
  await check({
    ports: ['TCP 80', 'TCP 81'],
    denied: (from, to, number) => (to === 'x/a' && from !== 'x/b') || (from === 'x/a' && number !== 80),
  });
});

test('28 should support denying of egress traffic on the client side (even if the server explicitly allows this traffic)', async () => {
  await put(
    policy('x', 'client', {
      podSelector: pod('a'),
      egress: [{ to: [{ namespaceSelector: ns('y'), podSelector: pod('a') }] }],
    }),
    policy('y', 'server', {
      podSelector: oneOf('pod', 'a', 'b'),
      ingress: [{ from: [{ namespaceSelector: ns('x'), podSelector: pod('a') }] }],
    }),
  );
  await check({
    denied: (from, to) => (from === 'x/a' && to !== 'y/a') || (['y/a', 'y/b'].includes(to) && from !== 'x/a'),
  });
});

test('29 should enforce egress policy allowing traffic to a server in a different namespace based on PodSelector and NamespaceSelector', async () => {
  await put(
    policy('x', 'p', {
      podSelector: pod('a'),
      egress: [{ to: [{ namespaceSelector: ns('y'), podSelector: pod('a') }] }],
    }),
  );
  await check({ denied: (from, to) => from === 'x/a' && to !== 'y/a' });
});

test('30 should enforce ingress policy allowing any port traffic to a server on a specific protocol', async () => {
  await put(policy('x', 'p', { podSelector: pod('a'), ingress: [{ ports: [{ protocol: 'TCP' }] }] }));
  await check({
    ports: ['TCP 80', 'TCP 81', 'UDP 80'],
    denied: (_, to, __, protocol) => to === 'x/a' && protocol === 'UDP',
  });
});

test('31 should enforce multiple ingress policies with ingress allow-all policy taking precedence', async () => {
  await put(policy('x', 'one', { ingress: [{ ports: [port(80)] }] }));
  await check({ ports: ['TCP 80', 'TCP 81'], denied: (_, to, number) => inX(to) && number === 81 });
  await put(policy('x', 'all', { ingress: [{}] }));
  await check({ ports: ['TCP 80', 'TCP 81'] });
});

test('32 should enforce multiple egress policies with egress allow-all policy taking precedence', async () => {
  await put(policy('x', 'one', { egress: [{ ports: [port(80)] }] }));
  await check({ ports: ['TCP 80', 'TCP 81'], denied: (from, _, number) => inX(from) && number === 81 });
  await put(policy('x', 'all', { egress: [{}] }));
  await check({ ports: ['TCP 80', 'TCP 81'] });
});

test('33 should stop enforcing policies after they are deleted', async () => {
  await put(policy('x', 'p', { ingress: [], egress: [] }));
  await check({ denied: (from, to) => inX(from) || inX(to) });
  await remove('x', 'p');
  await check();
});

const block = (cidr: string, except?: string[]) => ({
  ipBlock: { cidr, ...(except === undefined ? {} : { except }) },
});
const host = (name: string, family: 4 | 6 = 4) => `${addressOf(name, family)}/${family === 4 ? 32 : 128}`;
const bothOf = (name: string) => [block(host(name)), block(host(name, 6))];

test('34 should allow egress access to server in CIDR block', async () => {
  await put(policy('x', 'p', { podSelector: pod('a'), egress: [{ to: bothOf('y/b') }] }));
  await check({ denied: (from, to) => from === 'x/a' && to !== 'y/b' });
});

test('35 should enforce except clause while egress access to server in CIDR block', async () => {
  const to = [block('10.244.0.0/16', [host('y/b')]), block('fd00:10:244::/48', [host('y/b', 6)])];
  await put(policy('x', 'p', { podSelector: pod('a'), egress: [{ to }] }));
  await check({ denied: (from, other) => from === 'x/a' && other === 'y/b' });
});

test('36 should ensure an IP overlapping both IPBlock.CIDR and IPBlock.Except is allowed', async () => {
  const to = [block('10.244.0.0/16', [host('y/b')]), block('fd00:10:244::/48', [host('y/b', 6)])];
  await put(
    policy('x', 'one', { podSelector: pod('a'), egress: [{ to }] }),
    policy('x', 'two', { podSelector: pod('a'), egress: [{ to: bothOf('y/b') }] }),
  );
  await check();
});

test('37 should enforce policies to check ingress and egress policies can be controlled independently based on PodSelector', async () => {
  await put(policy('x', 'in', { podSelector: pod('a'), ingress: [{ from: [{ podSelector: pod('b') }] }] }));
  await check({ denied: (from, to) => to === 'x/a' && from !== 'x/b' });
  await put(policy('x', 'out', { podSelector: pod('a'), egress: [{ to: [{ podSelector: pod('c') }] }] }));
  await check({
    denied: (from, to) => (to === 'x/a' && from !== 'x/b') || (from === 'x/a' && to !== 'x/c'),
  });
});

test("38 should not mistakenly treat 'protocol: SCTP' as 'protocol: TCP', even if the plugin doesn't support SCTP", async () => {
  await put(
    denyIngress,
    policy('x', 'sctp', { podSelector: pod('a'), ingress: [{ ports: [port(81, 'SCTP')] }] }),
  );
  await check({ ports: ['TCP 81'], denied: (_, to) => inX(to) });
});

test("39 should properly isolate pods that are selected by a policy allowing SCTP, even if the plugin doesn't support SCTP", async () => {
  await put(policy('x', 'sctp', { podSelector: pod('a'), ingress: [{ ports: [port(80, 'SCTP')] }] }));
  await check({ denied: (_, to) => to === 'x/a' });
});

test('40 should not allow access by TCP when a policy specifies only UDP', async () => {
  await put(policy('x', 'udp', { podSelector: pod('a'), ingress: [{ ports: [port(81, 'UDP')] }] }));
  await check({
    ports: ['TCP 81', 'UDP 81'],
    denied: (_, to, __, protocol) => to === 'x/a' && protocol === 'TCP',
  });
});

test('41 should enforce policy to allow traffic based on NamespaceSelector with MatchLabels using default ns label', async () => {
  const from = [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'y' } } }];
  await put(policy('x', 'p', { podSelector: pod('a'), ingress: [{ from }] }));
  await check({ denied: (one, to) => to === 'x/a' && !inY(one) });
});

test('42 should enforce policy based on NamespaceSelector with MatchExpressions using default ns label', async () => {
  const notY = {
    matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: ['y'] }],
  };
  await put(policy('x', 'p', { podSelector: pod('a'), egress: [{ to: [{ namespaceSelector: notY }] }] }));
  await check({ denied: (from, to) => from === 'x/a' && inY(to) });
});

for (const [number, protocol] of [
  [43, 'UDP'],
  [46, 'SCTP'],
] as const) {
  test(`${number} ${protocol}: should support a default-deny-ingress policy`, async () => {
    await put(denyIngress);
    await check({ ports: [`${protocol} 80`, `${protocol} 81`], denied: (_, to) => inX(to) });
  });

  test(`${number + 1} ${protocol}: should enforce policy based on Ports`, async () => {
    const rule = { from: [{ namespaceSelector: ns('y') }], ports: [port(81, protocol)] };
    await put(policy('x', 'p', { podSelector: pod('a'), ingress: [rule] }));
    await check({
      ports: [`${protocol} 80`, `${protocol} 81`],
      denied: (from, to, one) => to === 'x/a' && !(inY(from) && one === 81),
    });
  });

  test(`${number + 2} ${protocol}: should enforce policy to allow traffic only from a pod in a different namespace based on PodSelector and NamespaceSelector`, async () => {
    const from = [{ namespaceSelector: ns('y'), podSelector: pod('a') }];
    await put(policy('x', 'p', { podSelector: pod('a'), ingress: [{ from, ports: [port(80, protocol)] }] }));
    await check({
      ports: [`${protocol} 80`, `${protocol} 81`],
      denied: (one, to, at) => to === 'x/a' && !(one === 'y/a' && at === 80),
    });
  });
}
