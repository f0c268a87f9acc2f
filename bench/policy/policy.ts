/** What policies cost a packet, and how soon a change of them is in force. */
import type { Bench } from '../shared/bench.ts';
import { cleanUp } from '../shared/cluster.ts';
import { measureChanges } from './changes.ts';
import { measurePackets } from './packets.ts';

export const policy: Bench = {
  name: 'policy',
  summary:
    'CPU per packet and connection with 1 to 10,000 policies, changes of policies until they are in force',
  run: async (tell) => {
    const directories: string[] = [];
    await cleanUp();
    try {
      const packets = await measurePackets(directories, tell);
      await cleanUp(directories);
      const changes = await measureChanges(directories, tell);
      return {
        cases: [...packets.cases, ...changes.cases],
        ratios: [...packets.ratios, ...changes.ratios],
      };
    } finally {
      await cleanUp(directories);
    }
  },
};
