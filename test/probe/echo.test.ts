/** Echoes by the addon, on the kernel: answers, silence, refusals, and both kinds of sockets. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseIp } from '../../src/base/ip/ip.ts';
import { openEchoSocket } from '../../src/edge/echo/echo-socket.ts';
import { native } from '../../src/edge/netlink/native.ts';
import { createNamespace } from '../namespace.ts';
import { pause, until } from '../until.ts';

const MODULE = JSON.stringify(new URL('../../src/edge/echo/echo-socket.ts', import.meta.url).href);
const NATIVE = JSON.stringify(new URL('../../src/edge/netlink/native.ts', import.meta.url).href);
const IP = JSON.stringify(new URL('../../src/base/ip/ip.ts', import.meta.url).href);
const PROBER = new URL('../../build/fairlead-probe', import.meta.url);
const LOOPBACK = { 4: parseIp('127.0.0.1'), 6: parseIp('::1') } as const;

for (const family of [4, 6] as const) {
  test(`IPv${family}: each answer brings its token back, and the time that it took`, async () => {
    using socket = openEchoSocket(family);
    using other = openEchoSocket(family);
    const tokens = [0, 1, 0xffff, 0x10000, 0xffffffff];
    for (const token of tokens) socket.send(LOOPBACK[family], token);
    const answers: { token: number; seconds: number }[] = [];
    await until('all have come', () => answers.push(...socket.receive()) >= tokens.length);
    assert.deepEqual(
      answers.map(({ token }) => token),
      tokens,
    );
    assert.ok(answers.every(({ seconds }) => seconds > 0 && seconds < 10));
    assert.deepEqual(socket.receive(), []);
    // A raw socket sees the echoes of others too.
    assert.deepEqual(other.receive(), []);
  });
}

for (const family of [4, 6] as const) {
  test(`IPv${family}: an answer of another address than the one that was asked is none`, () => {
    using namespace = createNamespace();
    const [asked, liar] = family === 4 ? ['192.0.2.1', '192.0.2.2'] : ['2001:db8::1', '2001:db8::2'];
    namespace.exec('ip', 'link', 'set', 'lo', 'up');
    for (const address of [asked, liar])
      namespace.exec('ip', 'addr', 'add', address, 'dev', 'lo', ...(family === 6 ? ['nodad'] : []));
    const script = `
      const { openEchoSocket } = await import(${MODULE});
      const { native } = await import(${NATIVE});
      const socket = openEchoSocket(${family});
      const other = native.openEcho(${family});
      const { ipToBytes } = await import(${IP});
      // One whose token was not sent at all, and one with the token of the question, before the right answer.
      for (const token of [5, 6]) native.sendEcho(other, Buffer.from(ipToBytes('${liar}')), token);
      socket.send('${asked}', 6);
      const answers = [];
      while (answers.length === 0) {
        answers.push(...socket.receive());
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      console.log(JSON.stringify(answers.map(({ token }) => token)), socket.receive().length);`;
    assert.equal(namespace.exec(process.execPath, '--input-type=module', '-e', script).trim(), '[6] 0');
  });
}

test('an answer that is read late took no longer for that', async () => {
  using socket = openEchoSocket(4);
  // The kernel begins to note arrivals a moment after the first socket asks for it (net_enable_timestamp, net/core/dev.c).
  await pause(300);
  socket.send(LOOPBACK[4], 7);
  const started = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 500));
  const [answer] = socket.receive();
  assert.ok(answer!.seconds * 1000 < performance.now() - started - 100);
});

test('echoes of others, and what is no echo of ours, are nobody’s answer', async () => {
  using namespace = createNamespace();
  namespace.exec('ip', 'link', 'set', 'lo', 'up');
  const script = `
    const { openEchoSocket } = await import(${MODULE});
    const { execFileSync } = await import('node:child_process');
    const socket = openEchoSocket(4);
    const input = '1 icmp 127.0.0.1 0 56 nodf 1000\\n2 icmp 127.0.0.1 0 0 nodf 1000\\n';
    const answers = execFileSync(${JSON.stringify(fileURLToPath(PROBER))}, ['client'], { input, encoding: 'utf8' });
    console.log(answers.match(/"ok":true/g).length + ' answered the prober, ' +JSON.stringify(socket.receive()));`;
  const stdout = namespace.exec(process.execPath, '--input-type=module', '-e', script);
  assert.equal(stdout.trim(), '2 answered the prober, []');
});

test('without the capability it takes a place in the range of groups; else it says what is missing', () => {
  using namespace = createNamespace();
  namespace.exec('ip', 'link', 'set', 'lo', 'up');
  const script = `
    const { openEchoSocket } = await import(${MODULE});
    const { setTimeout } = await import('node:timers/promises');
    try {
      for (const [family, address] of [[4, '127.0.0.1'], [6, '::1']]) {
        const socket = openEchoSocket(family);
        socket.send(address, 5);
        let answers = [];
        for (let i = 0; i < 500 && answers.length === 0; i++) {
          await setTimeout(10);
          answers = socket.receive();
        }
        console.log(answers[0]?.token);
      }
    } catch (error) {
      console.log(error.code + ' ' + error.message);
    }`;
  const unprivileged = ['setpriv', '--bounding-set', '-net_raw', '--inh-caps', '-net_raw'];
  const attempt = () =>
    namespace.exec(...unprivileged, process.execPath, '--input-type=module', '-e', script).trim();
  assert.match(
    attempt(),
    /^FL_PROBE other nodes are not probed over IPv4 \(EPERM\): give the agent CAP_NET_RAW/,
  );
  namespace.exec('sh', '-c', 'echo "0 100" > /proc/sys/net/ipv4/ping_group_range');
  assert.equal(attempt(), '5\n5');
});

test('where there is no way the kernel says so; nothing is left open', () => {
  using namespace = createNamespace();
  const script = `
    const { openEchoSocket } = await import(${MODULE});
    try { openEchoSocket(4).send('192.0.2.1', 1); } catch (error) { console.log(error.code); }`;
  assert.equal(namespace.exec(process.execPath, '--input-type=module', '-e', script).trim(), 'ENETUNREACH');
  const before = readdirSync('/proc/self/fd').length;
  for (let i = 0; i < 100; i++) openEchoSocket(i % 2 === 0 ? 4 : 6)[Symbol.dispose]();
  assert.equal(readdirSync('/proc/self/fd').length, before);
  assert.throws(() => native.sendEcho(-1, Buffer.alloc(4), 1), { code: 'EBADF' });
  assert.throws(() => native.sendEcho(0, Buffer.alloc(5), 1), TypeError);
  assert.throws(() => native.openEcho(5 as 4), TypeError);
});
