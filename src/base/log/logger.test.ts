import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger, type LogSettings } from './logger.ts';

function capture(settings: LogSettings) {
  const lines: string[] = [];
  return { lines, log: createLogger(settings, (line) => void lines.push(line)) };
}

test('a line of JSON has time, level, message, the bound fields and its own', () => {
  const { lines, log } = capture({ level: 'info', format: 'json' });
  log.child({ node: 'node-1' }).warn('route was deleted behind our back', { destination: '10.244.1.0/24' });
  const { time, ...rest } = JSON.parse(lines[0] ?? '') as Record<string, unknown>;
  assert.ok(!Number.isNaN(Date.parse(String(time))));
  assert.deepEqual(rest, {
    level: 'warn',
    message: 'route was deleted behind our back',
    node: 'node-1',
    destination: '10.244.1.0/24',
  });
});

test('the level can change while it runs', () => {
  const settings: LogSettings = { level: 'warn', format: 'text' };
  const { lines, log } = capture(settings);
  log.info('unseen');
  settings.level = 'debug';
  log.debug('seen', { pod: 'default/web 0' });
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? '', /DEBUG seen pod="default\/web 0"\n$/);
});

test('whatever a field holds, a line comes out', () => {
  const { lines, log } = capture({ level: 'info', format: 'json' });
  const circular: Record<string, unknown> = {};
  circular['self'] = circular;
  log.error('all kinds', {
    circular,
    big: 1n,
    error: new Error('outer', { cause: new Error('inner') }),
    none: undefined,
  });
  const line = JSON.parse(lines[0] ?? '') as Record<string, unknown>;
  assert.equal(line['error'], 'outer: inner');
  assert.deepEqual(line['circular'], { self: '(circular)' });
});
