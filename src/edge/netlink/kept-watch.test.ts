import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keepWatching } from './kept-watch.ts';

/** Sockets that the test ends. */
function prepare() {
  type Tell = (datagram: Buffer | null, ended?: string) => void;
  const opened: { tell: Tell; closed: boolean }[] = [];
  let refusals = 0;
  const open = () => {
    if (refusals-- > 0) throw new Error('EMFILE');
    const one: (typeof opened)[number] = { tell: () => undefined, closed: false };
    opened.push(one);
    return {
      watch: (callback: Tell) => {
        one.tell = callback;
        return () => undefined;
      },
      [Symbol.dispose]: () => void (one.closed = true),
    };
  };
  return { open, opened, refuse: (count: number) => void (refusals = count) };
}

test('a watch that ended is begun anew, said so meanwhile, and what was missed counts as lost', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { open, opened, refuse } = prepare();
  const [heard, problems]: [(string | null)[], string[]] = [[], []];
  const watch = keepWatching({
    open,
    what: 'routes',
    onDatagram: (datagram) => void heard.push(datagram && String(datagram)),
    onProblem: (problem) => void problems.push(problem),
  });
  opened[0]!.tell(Buffer.from('one'));
  refuse(1);
  opened[0]!.tell(null, 'ENOMEM');
  assert.match(watch.problem ?? '', /changes of routes are not heard of \(ENOMEM\)/);
  assert.ok(opened[0]!.closed);
  t.mock.timers.tick(1000);
  assert.match(watch.problem ?? '', /EMFILE/);
  t.mock.timers.tick(1000);
  assert.equal(watch.problem, undefined);
  opened[1]!.tell(Buffer.from('two'));
  assert.deepEqual(heard, ['one', null, 'two']);
  assert.equal(problems.length, 2);
  opened[1]!.tell(null, 'ENOMEM');
  watch[Symbol.dispose]();
  t.mock.timers.tick(1000);
  assert.equal(opened.length, 2, 'one that is stopped stays so');
});
