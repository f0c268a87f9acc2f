/** Commands of the command line: words lead to one, its options are parsed strictly, mistakes name what was meant. */
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { describeError, FairleadError } from '../base/errors/errors.ts';
import { nearestName } from '../base/errors/nearest.ts';

/** Exit codes of every command. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const;

export type Options = Readonly<Record<string, string | boolean | undefined>>;

export type Command = {
  /** The words that lead to it: `lab pod add`. */
  name: string;
  /** Behind the name in the help: `POD -- COMMAND…`. */
  synopsis: string;
  summary: string;
  options: ParseArgsOptionsConfig;
  /** What each option means, by its name. */
  optionHelp: Readonly<Record<string, string>>;
  /** How many positional arguments it takes. */
  positionals: readonly [least: number, most: number];
  /** @returns the exit code. */
  run: (positionals: readonly string[], options: Options) => Promise<number> | number;
};

export async function runCommandLine(argv: readonly string[], commands: readonly Command[]): Promise<number> {
  process.stdout.on('error', endQuietly);
  const [first] = argv;
  if (first === undefined || first === 'help' || first === '--help' || first === '-h') {
    process.stdout.write(overview(commands));
    return first === undefined ? EXIT.usage : EXIT.ok;
  }
  try {
    const command = findCommand(argv, commands);
    const rest = argv.slice(command.name.split(' ').length);
    if (isHelpAsked(rest)) {
      process.stdout.write(help(command));
      return EXIT.ok;
    }
    const { positionals, options } = parse(command, rest);
    return await command.run(positionals, options);
  } catch (error) {
    process.stderr.write(`fairlead: ${describeError(error)}\n`);
    return error instanceof FairleadError && error.code === 'FL_USAGE' ? EXIT.usage : EXIT.failed;
  }
}

/** Who reads has seen enough, as in `fairlead … | head`. */
function endQuietly(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
}

export function usageError(message: string): FairleadError {
  return new FairleadError('FL_USAGE', message);
}

function findCommand(argv: readonly string[], commands: readonly Command[]): Command {
  const words = argv.slice(0, 3);
  for (let count = words.length; count > 0; count--) {
    const found = commands.find(({ name }) => name === words.slice(0, count).join(' '));
    if (found !== undefined) return found;
  }
  const said = argv.filter((word) => !word.startsWith('-')).slice(0, 3);
  const names = commands.map(({ name }) => name);
  const nearest = nearestName(said.join(' '), names) ?? nearestName(said.slice(0, 2).join(' '), names);
  if (nearest !== undefined && said.length > 1)
    throw usageError(`there is no command '${said.join(' ')}'; did you mean '${nearest}'?`);
  const group = commands.filter(({ name }) => name.startsWith(`${argv[0]} `));
  throw usageError(
    group.length > 0
      ? `'${argv[0]}' needs one of: ${group.map(({ name }) => name.slice(argv[0]!.length + 1)).join(', ')}`
      : `there is no command '${said.join(' ')}'; ${nearest === undefined ? "'fairlead help' lists them all" : `did you mean '${nearest}'?`}`,
  );
}

function parse(command: Command, args: readonly string[]): { positionals: string[]; options: Options } {
  const unknown = args
    .slice(0, args.includes('--') ? args.indexOf('--') : args.length)
    .map((word) => /^--([^=]+)/.exec(word)?.[1])
    .find((name) => name !== undefined && !(name in command.options));
  if (unknown !== undefined) {
    const nearest = nearestName(unknown, Object.keys(command.options));
    throw usageError(
      `${command.name} has no option --${unknown}${nearest === undefined ? `; see 'fairlead ${command.name} --help'` : `; did you mean --${nearest}?`}`,
    );
  }
  let parsed: { positionals: string[]; values: object };
  try {
    parsed = parseArgs({ args: [...args], options: command.options, allowPositionals: true, strict: true });
  } catch (error) {
    throw usageError(`${command.name}: ${describeError(error)}`);
  }
  const [least, most] = command.positionals;
  const { length } = parsed.positionals;
  if (length < least || length > most)
    throw usageError(`usage: fairlead ${command.name} ${command.synopsis}`);
  return { positionals: parsed.positionals, options: parsed.values as Options };
}

function isHelpAsked(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return args.slice(0, end < 0 ? args.length : end).some((word) => word === '--help' || word === '-h');
}

function overview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  const lines = commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
  return `fairlead: the pod network for Kubernetes\n\n${lines.join('\n')}\n\n'fairlead COMMAND --help' says more. Exit status: 0 fine, 1 failed, 2 wrong usage.\n`;
}

function help({ name, synopsis, summary, optionHelp, options }: Command): string {
  const rows = Object.keys(options).map((option) => {
    const value = options[option]?.type === 'string' ? ' VALUE' : '';
    return [`--${option}${value}`, optionHelp[option] ?? ''] as const;
  });
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  const lines = rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
  return `usage: fairlead ${name} ${synopsis}\n\n${summary}\n${lines.length > 0 ? `\n${lines.join('\n')}\n` : ''}`;
}
