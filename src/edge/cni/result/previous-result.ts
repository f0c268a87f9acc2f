/** prevResult: what plugins before this one made, of any version of the specification, in one form. */
import { familyBits, ipFamily, isIp, parseIp } from '../../../base/ip/ip.ts';
import { type Dns, parseDns } from '../capability/dns.ts';
import { CniError, quote } from '../errors.ts';
import {
  defined,
  integerAt,
  isObject,
  type JsonObject,
  listAt,
  objectAt,
  own,
  refuseField,
  textAt,
} from '../json.ts';
import { CNI_VERSIONS } from '../version.ts';

export type ResultInterface = {
  name: string;
  mac?: string;
  /** Path of the namespace that it is in; absent: the node's. */
  sandbox?: string;
  /** From here on: since 1.1.0. */
  mtu?: number;
  socketPath?: string;
  pciID?: string;
};

export type ResultIp = {
  /** With its prefix length. */
  address: string;
  gateway?: string;
  /** Index into the interfaces. */
  interface?: number;
};

export type ResultRoute = {
  dst: string;
  gw?: string;
  /** From here on: since 1.1.0. */
  mtu?: number;
  advmss?: number;
  priority?: number;
  table?: number;
  scope?: number;
};

/** A result as the newest version has it, without its version. */
export type PreviousResult = {
  interfaces: readonly ResultInterface[];
  ips: readonly ResultIp[];
  routes: readonly ResultRoute[];
  dns: Dns;
};

/** 0.3.0 differs from 0.3.1 in nothing here; those before had no interfaces, and one address per family. */
const READABLE_VERSIONS: readonly string[] = ['0.1.0', '0.2.0', '0.3.0', ...CNI_VERSIONS];
const UINT32 = [0, 2 ** 32 - 1] as const;
const BYTE = [0, 255] as const;

/** Absent and null are undefined. */
export function parsePreviousResult(value: unknown): PreviousResult | undefined {
  if (value === undefined || value === null) return undefined;
  if (!isObject(value)) throw refuseField('prevResult', value, 'write an object');
  const version = textAt(value, 'cniVersion', 'prevResult.cniVersion');
  if (version !== undefined && !READABLE_VERSIONS.includes(version)) {
    throw new CniError(
      'INCOMPATIBLE_VERSION',
      `prevResult.cniVersion: ${quote(version)} is not known; use one of ${READABLE_VERSIONS.join(', ')}`,
    );
  }
  if (Object.hasOwn(value, 'ip4') || Object.hasOwn(value, 'ip6')) return parseOldResult(value);
  const interfaces = listAt(value, 'interfaces', 'prevResult.interfaces').map(parseInterface);
  return {
    interfaces,
    ips: listAt(value, 'ips', 'prevResult.ips').map((item) => parseIpEntry(item, interfaces.length)),
    routes: listAt(value, 'routes', 'prevResult.routes').map((item) => parseRoute(item, 'prevResult.routes')),
    dns: parseDns(objectAt(value, 'dns', 'prevResult.dns'), 'prevResult.dns'),
  };
}

function parseInterface(item: unknown): ResultInterface {
  const field = 'prevResult.interfaces';
  const name = isObject(item) ? textAt(item, 'name', `${field}.name`) : undefined;
  if (!isObject(item) || !name) throw refuseField(field, item, 'list objects with a name');
  const text = (key: string) => textAt(item, key, `${field}.${key}`) || undefined;
  return {
    name,
    ...defined({
      mac: text('mac'),
      sandbox: text('sandbox'),
      mtu: integerAt(item, 'mtu', UINT32, `${field}.mtu`),
      socketPath: text('socketPath'),
      pciID: text('pciID'),
    }),
  };
}

function parseIpEntry(item: unknown, interfaces: number): ResultIp {
  const field = 'prevResult.ips';
  if (!isObject(item)) throw refuseField(field, item, 'list objects with an address');
  const index = integerAt(item, 'interface', UINT32, `${field}.interface`);
  if (index !== undefined && index >= interfaces)
    throw refuseField(`${field}.interface`, index, `there are ${interfaces} interfaces; count from 0`);
  return {
    address: prefixAt(item, 'address', field),
    ...defined({ gateway: addressAt(item, 'gateway', field), interface: index }),
  };
}

function parseRoute(item: unknown, field: string): ResultRoute {
  if (!isObject(item)) throw refuseField(field, item, 'list objects with dst');
  const number = (key: string, bounds: readonly [number, number] = UINT32) =>
    integerAt(item, key, bounds, `${field}.${key}`);
  return {
    dst: prefixAt(item, 'dst', field),
    ...defined({
      gw: addressAt(item, 'gw', field),
      mtu: number('mtu'),
      advmss: number('advmss'),
      priority: number('priority'),
      table: number('table'),
      scope: number('scope', BYTE),
    }),
  };
}

/** Specification 0.1.0 and 0.2.0: `ip4` and `ip6`, each with its own routes. */
function parseOldResult(value: JsonObject): PreviousResult {
  const ips: ResultIp[] = [];
  const routes: ResultRoute[] = [];
  for (const family of ['ip4', 'ip6']) {
    const field = `prevResult.${family}`;
    if ((own(value, family) ?? undefined) === undefined) continue;
    const entry = objectAt(value, family, field);
    const gateway = addressAt(entry, 'gateway', field);
    ips.push({ address: prefixAt(entry, 'ip', field), ...defined({ gateway }) });
    for (const item of listAt(entry, 'routes', `${field}.routes`)) {
      // A route without a gateway leads through that of its address.
      routes.push({ ...defined({ gw: gateway }), ...parseRoute(item, `${field}.routes`) });
    }
  }
  return {
    interfaces: [],
    ips,
    routes,
    dns: parseDns(objectAt(value, 'dns', 'prevResult.dns'), 'prevResult.dns'),
  };
}

/** An address with its prefix length; host bits may be set. */
function prefixAt(item: JsonObject, name: string, field: string): string {
  const text = textAt(item, name, `${field}.${name}`) ?? '';
  const [address = '', length = '', ...rest] = text.split('/');
  if (rest.length === 0 && isIp(address) && /^\d{1,3}$/.test(length)) {
    if (Number(length) <= familyBits(ipFamily(parseIp(address)))) return text;
  }
  throw refuseField(`${field}.${name}`, text, 'write an address and a prefix length, such as 10.244.0.2/24');
}

/** Empty is absent. */
function addressAt(item: JsonObject, name: string, field: string): string | undefined {
  const text = textAt(item, name, `${field}.${name}`) || undefined;
  if (text !== undefined && !isIp(text)) throw refuseField(`${field}.${name}`, text, 'write an address');
  return text;
}
