/** What an agent tells of services: all of them in a line each, or one with its endpoints. */
import { type ExplainedService, explainService } from '../../plan/service/explain.ts';
import { nameOf } from '../../plan/service/name.ts';
import { nodeOf } from './plan-input.ts';
import type { Services, ServicesStatus } from './services.ts';

export type ServicesAnswer =
  | { error: string }
  | { status: ServicesStatus; services: readonly ExplainedService[] };

/** @param name `default/web`; absent: all of them. */
export function explainServices(
  { source, table, status }: Pick<Services, 'source' | 'table' | 'status'>,
  name: string | undefined,
): ServicesAnswer {
  if (source === undefined || table === undefined)
    return { error: `no services are served here: ${status.why ?? 'not known why'}` };
  const { state } = source;
  if (!state.known) return { error: `services are not known since ${state.since}: ${state.why}` };
  const planned = new Map(table.services.map((service) => [service.name, service]));
  const node = nodeOf(state.node, table.families);
  const found = state.services.filter((service) => name === undefined || nameOf(service) === name);
  if (name !== undefined && found.length === 0)
    return {
      error: `the cluster has no service ${name} that its nodes serve; headless ones and those of another proxy are not known here`,
    };
  const services = found
    .map((service) => {
      const own = nameOf(service);
      return explainService(service, state.slices.get(own) ?? [], planned.get(own), node);
    })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return { status, services };
}
