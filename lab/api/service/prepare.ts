/** What a service gets from the API before it is stored: families, addresses, ports of the nodes. */
import { kindNamed } from '../kinds.ts';
import { type Cause, invalid } from '../request/failure.ts';
import { type Fields, listAt, textAt } from '../storage/object.ts';
import type { Store } from '../storage/store.ts';
import { normalizeClusterIps, withClusterIps } from './cluster-ips.ts';
import { withFamilies } from './families.ts';
import { portsOf, withNodePorts } from './node-ports.ts';
import { serviceRanges } from './ranges.ts';
import { dropOtherTypes, keepAllocated } from './type.ts';
import { changeProblems } from './validate-change.ts';

type Step = (service: Fields) => Fields | Cause[];

/** @throws ApiFailure where it asks for what another service has, or none is left. */
export function prepareService(store: Store, service: Fields, before: Fields | undefined): Fields {
  const kind = kindNamed('Service');
  const name = textAt(service, 'metadata', 'name');
  const namespace = textAt(service, 'metadata', 'namespace');
  const others = store
    .list(kind)
    .filter(({ metadata }) => metadata.name !== name || metadata.namespace !== namespace);
  const ranges = serviceRanges(store);
  const ips = new Set(others.flatMap((other) => listAt(other, 'spec', 'clusterIPs').map(String)));
  const ports = new Set(others.flatMap(portsOf));
  const steps: Step[] = [
    (object) => normalizeClusterIps(object, before),
    (object) => (before === undefined ? object : dropOtherTypes(keepAllocated(object, before), before)),
    (object) => withFamilies(object, before, [...ranges.keys()]),
    (object) => (before === undefined ? object : orProblems(object, changeProblems(object, before))),
    (object) => withClusterIps(object, before, ranges, ips),
    (object) => withNodePorts(object, before, ports),
  ];
  return steps.reduce((object, step) => {
    const next = step(object);
    if (isCauses(next)) throw invalid(kind, name, next);
    return next;
  }, service);
}

function orProblems(service: Fields, causes: Cause[]): Fields | Cause[] {
  return causes.length > 0 ? causes : service;
}

function isCauses(value: Fields | Cause[]): value is Cause[] {
  return Array.isArray(value);
}
