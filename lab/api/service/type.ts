/** What the type of a service asks for, and what becomes of fields when the type changes. */
import { isEqual } from '../patch/equal.ts';
import { at, type Fields, fieldsAt, listAt, textAt, withField } from '../storage/object.ts';

export function needsClusterIp(service: Fields): boolean {
  return textAt(service, 'spec', 'type') !== 'ExternalName';
}

export function isHeadless(service: Fields): boolean {
  return textAt(service, 'spec', 'clusterIP') === 'None';
}

/** Whether ports of the nodes lead to it, as far as the type says. */
export function mayHaveNodePorts(service: Fields): boolean {
  return ['NodePort', 'LoadBalancer'].includes(textAt(service, 'spec', 'type'));
}

/** Whether the API gives it ports of the nodes that it does not name. */
export function needsNodePorts(service: Fields): boolean {
  return mayHaveNodePorts(service) && at(service, 'spec', 'allocateLoadBalancerNodePorts') !== false;
}

/** Whether a load balancer asks each node for its own endpoints. */
export function needsHealthPort(service: Fields): boolean {
  return (
    textAt(service, 'spec', 'type') === 'LoadBalancer' &&
    textAt(service, 'spec', 'externalTrafficPolicy') === 'Local'
  );
}

/** Whether clients outside of the cluster reach it. */
export function isExternal(service: Fields): boolean {
  return (
    mayHaveNodePorts(service) ||
    (textAt(service, 'spec', 'type') === 'ClusterIP' && listAt(service, 'spec', 'externalIPs').length > 0)
  );
}

type Needs = (service: Fields) => boolean;

/** A field that only some types have goes with the type, unless the same update says something of the field itself. */
const OF_TYPES: readonly [Needs, readonly string[]][] = [
  [needsClusterIp, ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy', 'internalTrafficPolicy']],
  [needsHealthPort, ['healthCheckNodePort']],
  [isExternal, ['externalTrafficPolicy']],
  [isBalanced, ['allocateLoadBalancerNodePorts', 'loadBalancerClass']],
];

export function dropOtherTypes(service: Fields, before: Fields): Fields {
  const spec = fieldsAt(service, 'spec');
  const had = fieldsAt(before, 'spec');
  const gone = OF_TYPES.filter(([needs]) => needs(before) && !needs(service)).flatMap(([, fields]) =>
    fields.filter((field) => isEqual(spec[field], had[field])),
  );
  const kept = gone.reduce((object, field) => withField(object, ['spec', field], undefined), service);
  const balanced = isBalanced(kept) ? kept : withField(kept, ['status', 'loadBalancer'], {});
  if (!mayHaveNodePorts(before) || mayHaveNodePorts(kept)) return balanced;
  if (!isEqual(nodePortsOf(before), nodePortsOf(kept))) return balanced;
  const ports = listAt(kept, 'spec', 'ports').map((port) =>
    withField(port as Fields, ['nodePort'], undefined),
  );
  return withField(balanced, ['spec', 'ports'], ports);
}

/** What the API has given it stays where an update does not speak of it. */
export function keepAllocated(service: Fields, before: Fields): Fields {
  let kept = service;
  const keep = (field: string) => {
    if (at(kept, 'spec', field) === undefined && at(before, 'spec', field) !== undefined)
      kept = withField(kept, ['spec', field], at(before, 'spec', field));
  };
  if (needsClusterIp(before) && needsClusterIp(service)) {
    for (const field of ['ipFamilyPolicy', 'ipFamilies']) keep(field);
    if (textAt(service, 'spec', 'clusterIP') === '')
      for (const field of ['clusterIP', 'clusterIPs'])
        kept = withField(kept, ['spec', field], at(before, 'spec', field));
  }
  if (needsHealthPort(before) && needsHealthPort(service)) keep('healthCheckNodePort');
  return mayHaveNodePorts(before) && needsNodePorts(service) ? keepNodePorts(kept, before) : kept;
}

/** By protocol and port: the name may change. */
function keepNodePorts(service: Fields, before: Fields): Fields {
  const key = (port: unknown) => `${textAt(port, 'protocol')}/${textAt(port, 'port')}`;
  const had = new Map(listAt(before, 'spec', 'ports').map((port) => [key(port), at(port, 'nodePort')]));
  const said = new Set(nodePortsOf(service));
  const ports = listAt(service, 'spec', 'ports').map((port) => {
    const nodePort = had.get(key(port));
    if (textAt(port, 'nodePort') !== '' || nodePort === undefined || said.has(nodePort)) return port;
    return { ...(port as Fields), nodePort };
  });
  return ports.length === 0 ? service : withField(service, ['spec', 'ports'], ports);
}

function isBalanced(service: Fields): boolean {
  return textAt(service, 'spec', 'type') === 'LoadBalancer';
}

function nodePortsOf(service: Fields): unknown[] {
  return listAt(service, 'spec', 'ports').map((port) => at(port, 'nodePort') ?? 0);
}
