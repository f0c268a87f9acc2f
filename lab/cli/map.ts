/** `fairlead lab map`. */
import { writeFileSync } from 'node:fs';
import { type Command, EXIT } from '../../src/cli/command.ts';
import { drawSvg } from '../map-svg.ts';
import { drawText } from '../map-text.ts';
import { requireLab } from '../state.ts';
import { labStatus } from '../status.ts';
import { labName, NAME_HELP, NAME_OPTION } from './options.ts';

export const labMapCommand: Command = {
  name: 'lab map',
  synopsis: '[--name NAME] [--svg FILE]',
  summary: 'Draws nodes, ranges, pods, and the path between each two nodes.',
  options: { ...NAME_OPTION, svg: { type: 'string' } },
  optionHelp: { ...NAME_HELP, svg: 'writes the picture into this file instead' },
  positionals: [0, 0],
  run: async (_, options) => {
    const status = await labStatus(requireLab(labName(options)));
    const { svg } = options;
    if (typeof svg === 'string') writeFileSync(svg, drawSvg(status));
    else process.stdout.write(drawText(status));
    return EXIT.ok;
  },
};
