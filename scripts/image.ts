/** `npm run image [-- --arch arm64] [--output FILE]`: the container image, as an OCI archive. */
import { execFileSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeError } from '../src/base/errors/errors.ts';
import { buildImage } from '../src/tools/image/build.ts';
import { platformNamed, platformOf } from '../src/tools/image/platform.ts';

const project = fileURLToPath(new URL('..', import.meta.url));
const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

/** Of the last commit, so that the same source gives the same image. */
function sourceDate(): number {
  const stated = process.env['SOURCE_DATE_EPOCH'];
  if (stated !== undefined) {
    if (!/^\d{1,11}$/.test(stated))
      throw new Error(`SOURCE_DATE_EPOCH: ${JSON.stringify(stated)} is none; write seconds since 1970`);
    return Number(stated);
  }
  try {
    const log = ['log', '-1', '--format=%ct'];
    return Number(
      execFileSync('git', log, { cwd: project, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
    );
  } catch {
    return 0;
  }
}

try {
  const { values } = parseArgs({ options: { arch: { type: 'string' }, output: { type: 'string' } } });
  const platform = values.arch === undefined ? platformOf(process.arch) : platformNamed(values.arch);
  if (platform === undefined)
    throw new Error(
      `--arch: ${JSON.stringify(values.arch ?? process.arch)} is not known; write amd64 or arm64`,
    );
  const folder = `${project}build/image-${platform.name}`;
  const { file, reference, digest, size, unpacked } = buildImage(platform, project, folder, sourceDate());
  if (values.output !== undefined) copyFileSync(file, values.output);
  process.stdout.write(
    `${reference} for ${platform.name}: ${values.output ?? file}\n` +
      `${megabytes(size)}, unpacked ${megabytes(unpacked)}, layer ${digest}\n`,
  );
} catch (error) {
  process.stderr.write(`image: ${describeError(error)}\n`);
  process.exitCode = 1;
}
