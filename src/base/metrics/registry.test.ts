import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCounter, createHistogram, renderMetrics } from './registry.ts';

test('counters, gauges and histograms in the text that Prometheus reads', () => {
  const calls = createCounter('calls_total', 'Calls.');
  calls.add({ command: 'ADD' });
  calls.add({ command: 'ADD' }, 2);
  calls.add({ command: 'a"b\\c\nd' });
  const times = createHistogram('time_seconds', 'Time\nof calls.', [0.1, 1]);
  for (const value of [0.05, 0.5, 5]) times.observe({}, value);
  const gauge = { name: 'pods', type: 'gauge', help: 'Pods.', samples: () => [{ value: 3 }] } as const;
  assert.deepEqual(renderMetrics([calls.metric, gauge, times.metric]).split('\n'), [
    '# HELP calls_total Calls.',
    '# TYPE calls_total counter',
    'calls_total{command="ADD"} 3',
    String.raw`calls_total{command="a\"b\\c\nd"} 1`,
    '# HELP pods Pods.',
    '# TYPE pods gauge',
    'pods 3',
    String.raw`# HELP time_seconds Time\nof calls.`,
    '# TYPE time_seconds histogram',
    'time_seconds_bucket{le="0.1"} 1',
    'time_seconds_bucket{le="1"} 2',
    'time_seconds_bucket{le="+Inf"} 3',
    'time_seconds_sum 5.55',
    'time_seconds_count 3',
    '',
  ]);
});

test('series that grow without end stop growing', () => {
  const counter = createCounter('c_total', 'C.');
  for (let index = 0; index < 2000; index++) counter.add({ index: String(index) });
  assert.equal(counter.metric.samples().length, 1000);
});
