/** The evaluator against the naive reading of the documentation, on random clusters: every pair, port, protocol and family. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseIp } from '../../src/base/ip/ip.ts';
import { compile } from '../../src/plan/policy/compile/compile.ts';
import { evaluate } from '../../src/plan/policy/compile/evaluate.ts';
import { oracleAllows } from './oracle.ts';
import { casesOf, inBatches } from './seeds.ts';
import { inputOf, PORTS, worlds } from './worlds.ts';

const CASES = casesOf('FAIRLEAD_POLICY_CASES', 300);

test(`${CASES} random clusters: evaluator and oracle agree on every flow`, (t) =>
  inBatches(t, CASES, (parameters) =>
    fc.assert(
      fc.property(worlds(7), (world) => {
        const compiled = compile(inputOf(world));
        const outside = ['203.0.113.9', '192.168.1.2', '2001:db8::9'];
        const addresses = [...world.pods.flatMap(({ ips }) => ips), ...outside];
        for (const source of addresses) {
          for (const destination of addresses) {
            if (source.includes(':') !== destination.includes(':')) continue;
            for (const protocol of ['TCP', 'UDP', 'SCTP', 'ICMP'] as const) {
              for (const port of protocol === 'ICMP' ? [0] : PORTS) {
                const flow = {
                  source: parseIp(source),
                  destination: parseIp(destination),
                  protocol,
                  ...(protocol === 'ICMP' ? {} : { port }),
                };
                const verdict = evaluate(compiled, flow);
                const wanted = oracleAllows(world, source, destination, protocol, port);
                if (verdict.allowed !== wanted)
                  assert.fail(
                    `${JSON.stringify(flow)}: ${JSON.stringify(verdict)}, the documentation says ${wanted}`,
                  );
              }
            }
          }
        }
      }),
      parameters,
    ),
  ));
