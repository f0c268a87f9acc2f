/** What an EndpointSlice must fulfil. */
import { ipFamily, parseIp } from '../../../src/base/ip/ip.ts';
import type { Cause } from '../request/failure.ts';
import { at, type Fields, listAt, textAt } from '../storage/object.ts';
import { isPort, PROTOCOLS } from '../validation/validate-pod.ts';
import { FAMILY_NAMES } from './families.ts';
import { isUnicast } from './unicast.ts';

const MOST_ENDPOINTS = 1000;
const MOST_ADDRESSES = 100;
const MOST_HINTS = 8;
const LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

export function sliceProblems(slice: Fields, before: Fields | undefined): Cause[] {
  const type = textAt(slice, 'addressType');
  const causes: Cause[] = [];
  if (!['FQDN', 'IPv4', 'IPv6'].includes(type))
    causes.push({
      field: 'addressType',
      message: `Unsupported value: ${JSON.stringify(type)}: use IPv4, IPv6 or FQDN`,
      reason: 'FieldValueNotSupported',
    });
  else if (before !== undefined && textAt(before, 'addressType') !== type)
    causes.push({
      field: 'addressType',
      message: `Invalid value: ${JSON.stringify(type)}: field is immutable`,
    });
  const endpoints = listAt(slice, 'endpoints');
  if (endpoints.length > MOST_ENDPOINTS)
    causes.push({
      field: 'endpoints',
      message: `Too many: ${endpoints.length}: must have at most ${MOST_ENDPOINTS} items`,
    });
  return [
    ...causes,
    ...endpoints.flatMap((endpoint, index) => endpointProblems(endpoint, type, `endpoints[${index}]`)),
    ...portProblems(slice),
  ];
}

function endpointProblems(endpoint: unknown, type: string, place: string): Cause[] {
  const causes: Cause[] = [];
  const addresses = listAt(endpoint, 'addresses').map(String);
  if (addresses.length === 0)
    causes.push({ field: `${place}.addresses`, message: 'Required value: must contain at least 1 address' });
  if (addresses.length > MOST_ADDRESSES)
    causes.push({
      field: `${place}.addresses`,
      message: `Too many: ${addresses.length}: must have at most ${MOST_ADDRESSES} items`,
    });
  for (const [index, address] of addresses.entries())
    if (!isAddress(address, type))
      causes.push({
        field: `${place}.addresses[${index}]`,
        message: `Invalid value: ${JSON.stringify(address)}: is no address of type ${type} that an endpoint can have`,
      });
  const hostname = textAt(endpoint, 'hostname');
  if (hostname !== '' && !LABEL.test(hostname))
    causes.push({
      field: `${place}.hostname`,
      message: `Invalid value: ${JSON.stringify(hostname)}: is no label of DNS`,
    });
  for (const field of ['forZones', 'forNodes']) {
    const names = listAt(endpoint, 'hints', field).map((hint) => textAt(hint, 'name'));
    if (names.length > MOST_HINTS)
      causes.push({
        field: `${place}.hints.${field}`,
        message: `Too many: ${names.length}: must have at most ${MOST_HINTS} items`,
      });
    if (new Set(names).size < names.length || names.includes(''))
      causes.push({ field: `${place}.hints.${field}`, message: 'Invalid value: each has a name of its own' });
  }
  return causes;
}

function isAddress(address: string, type: string): boolean {
  if (type === 'FQDN') return NAME.test(address) && address.includes('.');
  return isUnicast(address) && FAMILY_NAMES[ipFamily(parseIp(address))] === type;
}

function portProblems(slice: Fields): Cause[] {
  const names = new Set<string>();
  return listAt(slice, 'ports').flatMap((port, index) => {
    const causes: Cause[] = [];
    const [name, protocol] = ['name', 'protocol'].map((field) => textAt(port, field));
    const number = at(port, 'port');
    const add = (field: string, message: string) =>
      causes.push({ field: `ports[${index}].${field}`, message });
    if (names.has(name!)) add('name', `Duplicate value: ${JSON.stringify(name)}`);
    names.add(name!);
    if (name !== '' && !LABEL.test(name!))
      add('name', `Invalid value: ${JSON.stringify(name)}: is no label of DNS`);
    if (!PROTOCOLS.includes(protocol!))
      add('protocol', `Unsupported value: ${JSON.stringify(protocol)}: use ${PROTOCOLS.join(', ')}`);
    if (number !== undefined && !isPort(number))
      add('port', 'Invalid value: must be between 1 and 65535, inclusive');
    return causes;
  });
}
