/** Whole tables through nft(8), in the namespace of this process. */
import { spawn } from 'node:child_process';
import { FairleadError } from '../errors/errors.ts';
import type { Table } from './objects.ts';
import { deleteTable, replaceTable } from './transaction.ts';

type TableName = Pick<Table, 'family' | 'name'>;

export type Nftables = {
  /** Makes the kernel's table this one, in one transaction. */
  replace(table: Table): Promise<void>;
  remove(table: TableName): Promise<void>;
  /** The table as the kernel reports it, for comparing; undefined when there is none. */
  read(table: TableName): Promise<string | undefined>;
};

/** @param command how nft is called; in another namespace by `nsenter`. */
export function openNftables(command: readonly string[] = ['nft']): Nftables {
  return {
    replace: async (table) => void (await run(command, ['-f', '-'], replaceTable(table))),
    remove: async (table) => void (await run(command, ['-f', '-'], deleteTable(table))),
    read: async ({ family, name }) => {
      try {
        return await run(command, ['--stateless', 'list', 'table', family, name], '');
      } catch (error) {
        if (error instanceof FairleadError && /No such file or directory/.test(error.message))
          return undefined;
        throw error;
      }
    },
  };
}

function run(command: readonly string[], args: readonly string[], input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const [program = 'nft', ...before] = command;
    const child = spawn(program, [...before, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', (error: NodeJS.ErrnoException) => {
      const cure =
        error.code === 'ENOENT' ? `${program} is not installed; install the package nftables` : error.message;
      reject(new FairleadError('FL_NFT', `nft cannot be run: ${cure}`, { cause: error }));
    });
    // A child that ends before it has read everything says why on stderr.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    child.on('close', (status) => {
      if (status === 0) return resolve(stdout);
      reject(
        new FairleadError(
          'FL_NFT',
          `nft ${args.join(' ')} failed: ${stderr.trim().split('\n').slice(0, 3).join(' ')}`,
        ),
      );
    });
  });
}
