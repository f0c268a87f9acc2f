/** What everything of an agent stands on: its name, its log, and its configuration as it is at any time. */

import { hostname } from 'node:os';
import { type Configuration, compareConfigurations } from '../base/config/configuration.ts';
import { describeError } from '../base/errors/errors.ts';
import { type ErrorMemory, rememberErrors } from '../base/log/last-error.ts';
import { createLogger, type Logger } from '../base/log/logger.ts';
import { versionOf } from '../base/version.ts';
import type { ConfigurationSource, Edges } from './edges.ts';
import { nodeNameOf } from './node/node-name.ts';

export type Basis = {
  /** Of the node. */
  name: string;
  version: string;
  log: Logger;
  errors: ErrorMemory;
  configuration: () => Configuration;
  /** @param onChange called after the configuration has changed. */
  follow(onChange: () => void): Disposable;
};

/** @throws FairleadError where the configuration is refused. */
export function openBasis({ writeLog }: Pick<Edges, 'writeLog'>, source: ConfigurationSource): Basis {
  let configuration = source.read();
  const logSettings = { ...configuration.log };
  const name = nodeNameOf(configuration.node.name, process.env['NODE_NAME'], hostname());
  const errors = rememberErrors(createLogger(logSettings, writeLog).child({ node: name }));
  const { log } = errors;
  return {
    name,
    version: versionOf(),
    log,
    errors,
    configuration: () => configuration,
    follow: (onChange) =>
      source.follow(
        (changed) => {
          logChanges(configuration, changed, log);
          configuration = changed;
          Object.assign(logSettings, changed.log);
          onChange();
        },
        (error) =>
          log.error('the configuration file is refused; the last good one stays', {
            reason: describeError(error),
          }),
      ),
  };
}

function logChanges(before: Configuration, after: Configuration, log: Logger): void {
  const { live, restart } = compareConfigurations(before, after);
  if (live.length > 0) log.info('the configuration changed', { keys: live });
  for (const { path, reason } of restart)
    log.warn('a changed key waits for the next start', { key: path, reason });
}
