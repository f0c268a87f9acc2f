import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decideList, type ListSettings, namesPlugin, runtimeLists } from './network-list.ts';

const settings: ListSettings = {
  networkName: 'fairlead',
  listVersion: '1.0.0',
  capabilities: ['portMappings', 'bandwidth'],
};
const own = { type: 'fairlead-cni', capabilities: { portMappings: true, bandwidth: true } };
const list = { cniVersion: '1.0.0', name: 'fairlead', plugins: [own] };
const decide = (current: string | undefined, more: Partial<ListSettings> = {}) =>
  decideList('/net.d/10-fairlead.conflist', current, { ...settings, ...more });
const written = (current: string | undefined, more: Partial<ListSettings> = {}): unknown =>
  JSON.parse(decide(current, more).text!);

test('where there is none, or an empty one, the whole list is written; what is right stays', () => {
  assert.deepEqual(written(undefined), list);
  assert.deepEqual(written('\n'), list);
  assert.deepEqual(decide(JSON.stringify(list)), {});
  // Another program may have written the same in another order.
  assert.deepEqual(decide(JSON.stringify({ plugins: [own], name: 'fairlead', cniVersion: '1.0.0' })), {});
});

test('an older list of ours is brought up to date', () => {
  assert.deepEqual(written(JSON.stringify(list), { listVersion: '1.1.0', agentSocket: '/run/x.sock' }), {
    ...list,
    cniVersion: '1.1.0',
    plugins: [{ ...own, agentSocket: '/run/x.sock' }],
  });
  assert.deepEqual(written(JSON.stringify(own)), { ...own, ...list });
});

test('plugins that others put into it stay, in their order', () => {
  const mesh = { type: 'mesh-cni', kubernetes: { exclude: ['a'] } };
  const tuned = { ...list, plugins: [{ type: 'first' }, own, mesh], disableCheck: true };
  assert.deepEqual(decide(JSON.stringify(tuned)), {});
  const older = { ...tuned, plugins: [{ type: 'first' }, { type: 'fairlead-cni' }, mesh] };
  assert.deepEqual(written(JSON.stringify(older)), tuned);
});

test("somebody else's file of our name, and what is no list, are refused by name", () => {
  for (const [text, reason] of [
    [
      '{"name":"x","plugins":[{"type":"bridge"}]}',
      /somebody else's: no plugin in it is fairlead-cni; move it away/,
    ],
    ['{"name":"x","plugins":[null,3]}', /somebody else's/],
    ['{"plugins', /10-fairlead\.conflist: is not JSON: .*; delete it/],
    ['[1]', /is no network configuration; delete it/],
    ['null', /is no network configuration/],
  ] as const) {
    const { text: next, problem } = decide(text);
    assert.equal(next, undefined);
    assert.match(problem ?? '', reason);
  }
});

test('the files that runtimes look at, in their order', () => {
  assert.deepEqual(
    runtimeLists(['b.conf', '20-x.conflist', '10-fairlead.conflist.new', '00.json', 'README']),
    ['00.json', '20-x.conflist', 'b.conf'],
  );
  assert.equal(namesPlugin(JSON.stringify(list)), true);
  assert.equal(namesPlugin('{"note":"fairlead-cni"}'), false);
  assert.equal(namesPlugin(''), false);
});
