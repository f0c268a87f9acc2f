/** What a Pod must fulfil, and which of its fields stay as they were. */

import { isEqual } from '../patch/equal.ts';
import type { Cause } from '../request/failure.ts';
import { type Fields, fieldsAt, isFields, listAt, textAt } from '../storage/object.ts';

const LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
/** RFC 6335, as names of ports are. */
const PORT_NAME = /^(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$/;
export const PROTOCOLS = ['TCP', 'UDP', 'SCTP'];

export function podProblems(pod: Fields, before: Fields | undefined): Cause[] {
  const causes: Cause[] = [];
  const containers = listAt(pod, 'spec', 'containers');
  if (containers.length === 0)
    causes.push({ field: 'spec.containers', message: 'Required value: a pod has at least one container' });
  const names = new Set<string>();
  for (const [index, container] of containers.entries()) {
    const place = `spec.containers[${index}]`;
    const name = textAt(container, 'name');
    if (!LABEL.test(name))
      causes.push({
        field: `${place}.name`,
        message: `Invalid value: ${JSON.stringify(name)}: use up to 63 lower-case letters, digits and dashes`,
      });
    if (names.has(name))
      causes.push({ field: `${place}.name`, message: `Duplicate value: ${JSON.stringify(name)}` });
    names.add(name);
    causes.push(
      ...listAt(container, 'ports').flatMap((port, i) => portProblems(port, `${place}.ports[${i}]`)),
    );
  }
  const policy = textAt(pod, 'spec', 'restartPolicy');
  if (!['Always', 'OnFailure', 'Never'].includes(policy))
    causes.push({
      field: 'spec.restartPolicy',
      message: `Unsupported value: ${JSON.stringify(policy)}: use Always, OnFailure or Never`,
    });
  if (before !== undefined && !isEqual(fixedPart(pod, before), fixedPart(before, before)))
    causes.push({
      field: 'spec',
      message:
        'Forbidden: pod updates may not change fields other than `spec.containers[*].image`, `spec.activeDeadlineSeconds` and `spec.tolerations`; delete the pod and create it anew',
    });
  return causes;
}

function portProblems(port: unknown, place: string): Cause[] {
  const causes: Cause[] = [];
  const name = textAt(port, 'name');
  if (name !== '' && !PORT_NAME.test(name))
    causes.push({
      field: `${place}.name`,
      message: `Invalid value: ${JSON.stringify(name)}: use up to 15 lower-case letters, digits and dashes`,
    });
  if (!isPort(isFields(port) ? port['containerPort'] : undefined))
    causes.push({
      field: `${place}.containerPort`,
      message: 'Invalid value: must be between 1 and 65535, inclusive',
    });
  const hostPort = isFields(port) ? (port['hostPort'] ?? 0) : 0;
  if (hostPort !== 0 && !isPort(hostPort))
    causes.push({
      field: `${place}.hostPort`,
      message: 'Invalid value: must be between 1 and 65535, inclusive',
    });
  const protocol = textAt(port, 'protocol');
  if (!PROTOCOLS.includes(protocol))
    causes.push({
      field: `${place}.protocol`,
      message: `Unsupported value: ${JSON.stringify(protocol)}: use ${PROTOCOLS.join(', ')}`,
    });
  return causes;
}

export function isPort(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65_535;
}

export function isPortName(value: unknown): boolean {
  return typeof value === 'string' && PORT_NAME.test(value);
}

/** Where a pod has no node yet, it may be given one. */
function fixedPart(pod: Fields, before: Fields): Fields {
  const { activeDeadlineSeconds: _, tolerations: __, nodeName, ...spec } = fieldsAt(pod, 'spec');
  const bound = textAt(before, 'spec', 'nodeName') === '' ? {} : { nodeName };
  const containers = listAt(spec, 'containers').map((container) => {
    const { image: ___, ...rest } = isFields(container) ? container : {};
    return rest;
  });
  return { ...spec, ...bound, containers };
}
