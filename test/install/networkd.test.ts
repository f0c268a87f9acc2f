/** A real systemd-networkd on a host of its own, whose administrator configures every interface. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { networkdFiles } from '../../src/edge/runtime/host-files.ts';
import { createNamespace } from '../namespace.ts';
import { until } from '../until.ts';

const NETWORKD = '/usr/lib/systemd/systemd-networkd';
const DEVICES = ['flpod', 'fl-vxlan', 'fbpod'];

/** In mounts of its own: the folders of the machine's own networkd stay out of sight. A read-only /sys stands for a host without udev. */
const START = `set -e
mkdir -p /run/systemd
mount -t tmpfs none /run/systemd
mkdir -p /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
chown -R systemd-network:systemd-network /run/systemd/netif
mount -t sysfs -o ro none /sys
mount --bind "$1" /etc/systemd
exec ${NETWORKD}`;

/** Runs it until it has configured what it can. @returns what it logged, and the state of the network then. */
async function networkdWith(files: readonly { path: string; text: string }[]) {
  using stack = new DisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'flt-networkd-'));
  // It gives up root before it reads.
  chmodSync(folder, 0o755);
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const all = { path: 'network/50-all.network', text: '[Match]\nName=*\n\n[Network]\nAddress=10.9.9.9/24\n' };
  for (const { path, text } of [all, ...files]) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  const host = stack.use(createNamespace());
  const ip = (command: string) => host.exec('ip', ...command.split(' '));
  ip('link add flpod type veth peer name eth0');
  ip('link add fl-vxlan type vxlan id 1 dstport 8472');
  ip('link add fbpod type ifb');
  for (const name of [...DEVICES, 'eth0', 'lo']) ip(`link set ${name} up`);
  ip('route add 10.244.0.2/32 dev flpod proto 70');
  ip('rule add from 10.244.0.0/24 lookup 7010 priority 7010 protocol 70');
  const child = spawn(
    'unshare',
    ['--mount', 'nsenter', `--net=${host.path}`, 'sh', '-c', START, 'sh', folder],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  stack.defer(() => void child.kill('SIGKILL'));
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
  const exit = once(child, 'exit');
  await until('systemd-networkd has configured eth0', () => {
    if (child.exitCode !== null) throw new Error(`systemd-networkd ended: ${log}`);
    return log.includes('Enumeration completed') && ip('-br address show dev eth0').includes('10.9.9.9');
  });
  const configured = DEVICES.filter((name) => ip(`-br address show dev ${name}`).includes('10.9.9.9'));
  const state = { log, configured, routes: ip('route show proto 70'), rules: ip('rule show') };
  child.kill('SIGKILL');
  await exit;
  return state;
}

test("systemd-networkd leaves Fairlead's devices, routes and rules alone with our settings, and would not without", {
  skip: existsSync(NETWORKD) ? false : 'systemd-networkd is not installed',
}, async () => {
  const without = await networkdWith([]);
  assert.deepEqual(without.configured.toSorted(), DEVICES.toSorted());
  const files = networkdFiles('/etc/systemd').map(({ path, text }) => ({
    path: path.replace('/etc/systemd/', ''),
    text,
  }));
  const { log, configured, routes, rules } = await networkdWith(files);
  assert.deepEqual(configured, []);
  // It names the file of every line that it does not understand.
  assert.doesNotMatch(log, /fairlead/);
  assert.match(routes, /10\.244\.0\.2 dev flpod/);
  assert.match(rules, /7010:\s+from 10\.244\.0\.0\/24 lookup 7010/);
});
