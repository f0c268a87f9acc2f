/**
 * A cluster behind a fake API, inside whatever namespace this is started in; prints its port. The objects of a file
 * (`[["/api/v1/nodes", {…}], …]`, checked by nobody), or two nodes where none is named.
 */
import { readFileSync } from 'node:fs';
import { FakeApi, type FakeObject, nodeObject } from './fake-api.ts';

const [file] = process.argv.slice(2);
const peer = { status: { addresses: [{ type: 'InternalIP', address: '192.168.1.3' }] } };
const objects: [string, FakeObject][] =
  file === undefined
    ? [
        ['/api/v1/nodes', nodeObject('node-1')],
        ['/api/v1/nodes', nodeObject('node-2', ['10.244.0.0/24'], peer)],
        [
          '/api/v1/nodes',
          nodeObject('thief', ['10.244.0.0/25'], { metadata: { creationTimestamp: '2026-02-02T00:00:00Z' } }),
        ],
      ]
    : (JSON.parse(readFileSync(file, 'utf8')) as [string, FakeObject][]);

const api = await FakeApi.start();
for (const [path, object] of objects) api.put(path, object);
console.log(api.port);
