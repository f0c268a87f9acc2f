/**
 * A cluster of two nodes behind a fake API, inside whatever namespace this is started in; prints its port. With the
 * argument `without-reports` agents may not tell how they are; with the name of a file its objects are there instead of the
 * nodes (`[["/api/v1/nodes", {…}], …]`, checked by nobody).
 */
import { readFileSync } from 'node:fs';
import { FakeApi, type FakeObject, nodeObject } from './fake-api.ts';

const api = await FakeApi.start();
const [argument = ''] = process.argv.slice(2);
if (argument === 'without-reports') {
  api.intercept = ({ pathname }, response) => {
    if (!pathname.includes('/leases/fairlead-agent-')) return false;
    response.writeHead(403, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({ kind: 'Status', message: 'leases is forbidden: User cannot patch resource' }),
    );
    return true;
  };
}
const peer = { status: { addresses: [{ type: 'InternalIP', address: '192.168.1.3' }] } };
const nodes: [string, FakeObject][] = [
  ['/api/v1/nodes', nodeObject('node-1')],
  ['/api/v1/nodes', nodeObject('node-2', ['10.244.0.0/24'], peer)],
  [
    '/api/v1/nodes',
    nodeObject('thief', ['10.244.0.0/25'], { metadata: { creationTimestamp: '2026-02-02T00:00:00Z' } }),
  ],
];
const objects =
  argument === '' || argument === 'without-reports'
    ? nodes
    : (JSON.parse(readFileSync(argument, 'utf8')) as [string, FakeObject][]);
for (const [path, object] of objects) api.put(path, object);
console.log(api.port);
