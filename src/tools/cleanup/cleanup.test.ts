import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createFakeNamespace, openFakeKernel } from '../../edge/netlink/fake/fake.ts';
import { createFakeNftables } from '../../edge/nftables/fake.ts';
import { openSysctls } from '../../edge/sysctl/sysctls.ts';
import { findTraces, removeTraces } from './cleanup.ts';

test('of a folder that others use too what is ours goes, and they and the folder stay', async () => {
  const root = mkdtempSync(join(tmpdir(), 'flt-cleanup-'));
  after(() => rmSync(root, { recursive: true }));
  const at = (name: string) => join(root, name);
  for (const folder of ['shared', 'shared/docker', 'own', 'own/pending']) mkdirSync(at(folder));
  for (const file of [
    'shared/cni.sock',
    'shared/sshd.pid',
    'own/node.json',
    'own/node.json.new',
    'own/pending/1.del',
  ])
    writeFileSync(at(file), '');
  const place = {
    kernel: openFakeKernel(createFakeNamespace()),
    nftables: createFakeNftables(),
    podNetwork: [],
    stateDirectory: at('own'),
    sysctls: openSysctls(at('sysctl')),
    folders: [
      { path: at('shared'), names: ['cni.sock', 'api.sock'] },
      { path: at('own'), names: ['node.json', 'pending'] },
    ],
    files: [],
  };
  const said: string[] = [];
  const problems = await removeTraces(await findTraces(place), place, (line) => void said.push(line));
  assert.deepEqual(problems, []);
  assert.deepEqual(readdirSync(root), ['shared']);
  assert.deepEqual(readdirSync(at('shared')).toSorted(), ['docker', 'sshd.pid']);
  assert.deepEqual(said, [
    `folder ${at('shared')} stays with what is not Fairlead's: docker, sshd.pid`,
    `folder ${at('own')}`,
  ]);
});
