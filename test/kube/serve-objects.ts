/** The objects of a file behind a fake API (`[["/api/v1/nodes", {…}], …]`, unchecked), in whatever namespace this is started; prints its port. */
import { readFileSync } from 'node:fs';
import { FakeApi, type FakeObject } from './fake-api.ts';

const objects = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as [string, FakeObject][];
const api = await FakeApi.start();
for (const [path, object] of objects) api.put(path, object);
console.log(api.port);
