import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openNftables } from './nft.ts';

test('an nft that hangs is ended, and named', async (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'nft-'));
  const { PATH } = process.env;
  context.after(() => {
    process.env['PATH'] = PATH;
    rmSync(directory, { recursive: true });
  });
  writeFileSync(join(directory, 'nft'), '#!/bin/sh\nexec sleep 1000\n', { mode: 0o755 });
  process.env['PATH'] = `${directory}:${PATH}`;
  using nftables = openNftables(undefined, 50);
  const hangs = { code: 'FL_NFT', message: /did not end within 0\.05 s and was ended \(SIGKILL\)/ };
  const table = { family: 'inet', name: 'fairlead' } as const;
  await assert.rejects(nftables.read(table), hangs);
  await assert.rejects(nftables.replace({ ...table, sets: [], chains: [] }), hangs);
});
