import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { until } from '../../../test/until.ts';
import { parseCidr } from '../../base/ip/cidr.ts';
import { parseIp } from '../../base/ip/ip.ts';
import { createLogger } from '../../base/log/logger.ts';
import { openSettingsRecord, rememberedSettings } from '../settings/sysctl.ts';
import { loadNodeView, openNodeRecord } from './node-record.ts';

const directory = mkdtempSync(join(tmpdir(), 'flt-record-'));
after(() => rmSync(directory, { recursive: true }));
const log = createLogger({ level: 'error', format: 'text' });
const view = { ranges: [parseCidr('10.244.3.0/24')], nodeIps: [parseIp('192.168.1.3')], mtu: 1450 };
const at = (name: string) => join(directory, name);

test('a disk that was cloned gives no node the range of another', () => {
  using record = openNodeRecord(directory, log);
  record.keep({ node: { name: 'node-3', uid: 'u3' }, ...view });
  assert.deepEqual(loadNodeView(directory, 'node-3'), view);
  assert.equal(loadNodeView(directory, 'node-4'), undefined);
  writeFileSync(at('node.json'), JSON.stringify({ node: null, ...view }));
  assert.equal(loadNodeView(directory, 'node-3'), undefined);
  writeFileSync(at('node.json'), JSON.stringify(view));
  assert.deepEqual(loadNodeView(directory, 'node-3'), view, 'as 0.1.0 wrote it');
});

test('what could not be written is a problem, and is written as soon as it can be, as it is then', async () => {
  using record = openNodeRecord(directory, log);
  mkdirSync(at('node.json.new'));
  for (const name of ['node-1', 'node-2']) record.keep({ node: { name, uid: name }, ...view });
  assert.match(record.problem ?? '', /node\.json cannot be written: .*; it is tried again/);
  assert.deepEqual(loadNodeView(directory, 'node-3'), view, 'what was there stays');
  rmdirSync(at('node.json.new'));
  await until('it is written', () => record.problem === undefined);
  assert.match(readFileSync(at('node.json'), 'utf8'), /^\{"node":\{"name":"node-2","uid":"node-2"\}/);
});

test('settings that could not be written at first are all in the record in the end', async () => {
  using record = openSettingsRecord(directory, log);
  const [one, two] = ['one', 'two'].map((name) => ({ name: `net.ipv4.${name}`, value: '1', was: '0' }));
  mkdirSync(at('settings.json.new'));
  record.remember([one!]);
  assert.match(record.problem ?? '', /settings\.json cannot be written/);
  rmdirSync(at('settings.json.new'));
  record.remember([two!, { ...one!, was: '1' }]);
  assert.deepEqual(rememberedSettings(directory), [one, two]);
  assert.equal(record.problem, undefined);
});
