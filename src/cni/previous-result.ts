/** prevResult: what plugins before this one made, of any version, in one form. */
import { integerAt, isObject, type JsonObject, listAt, objectAt, refuseField, textAt } from './json.ts';
import { parseVersion } from './version.ts';

export type ResultInterface = { name: string; mac?: string; sandbox?: string } & JsonObject;
export type ResultIp = { address: string; gateway?: string; interface?: number };
export type ResultRoute = { dst: string; gw?: string } & JsonObject;

/** A result as the newest version writes it, without its version. */
export type PreviousResult = {
  interfaces: readonly ResultInterface[];
  ips: readonly ResultIp[];
  routes: readonly ResultRoute[];
  dns: JsonObject;
};

export function parsePreviousResult(value: unknown): PreviousResult {
  if (!isObject(value)) throw refuseField('prevResult', value, 'write an object');
  parseVersion(Object.hasOwn(value, 'cniVersion') ? value['cniVersion'] : '1.1.0');
  const interfaces = listAt(value, 'interfaces', 'prevResult.interfaces').map((item) => parseInterface(item));
  return {
    interfaces,
    ips: listAt(value, 'ips', 'prevResult.ips').map((item) => parseIpEntry(item, interfaces.length)),
    routes: listAt(value, 'routes', 'prevResult.routes').map((item) => parseRoute(item)),
    dns: objectAt(value, 'dns', 'prevResult.dns'),
  };
}

function parseInterface(item: unknown): ResultInterface {
  const name = isObject(item) ? textAt(item, 'name', 'prevResult.interfaces.name') : undefined;
  if (!isObject(item) || name === undefined)
    throw refuseField('prevResult.interfaces', item, 'list objects with a name');
  const mac = textAt(item, 'mac', 'prevResult.interfaces.mac');
  const sandbox = textAt(item, 'sandbox', 'prevResult.interfaces.sandbox');
  return {
    ...item,
    name,
    ...(mac === undefined ? {} : { mac }),
    ...(sandbox === undefined ? {} : { sandbox }),
  };
}

function parseIpEntry(item: unknown, interfaces: number): ResultIp {
  const address = isObject(item) ? textAt(item, 'address', 'prevResult.ips.address') : undefined;
  if (!isObject(item) || address === undefined)
    throw refuseField('prevResult.ips', item, 'list objects with an address');
  const gateway = textAt(item, 'gateway', 'prevResult.ips.gateway');
  const index = integerAt(item, 'interface', [0, Math.max(0, interfaces - 1)], 'prevResult.ips.interface');
  return {
    address,
    ...(gateway === undefined ? {} : { gateway }),
    ...(index === undefined ? {} : { interface: index }),
  };
}

function parseRoute(item: unknown): ResultRoute {
  const dst = isObject(item) ? textAt(item, 'dst', 'prevResult.routes.dst') : undefined;
  if (!isObject(item) || dst === undefined)
    throw refuseField('prevResult.routes', item, 'list objects with dst');
  const gw = textAt(item, 'gw', 'prevResult.routes.gw');
  return { ...item, dst, ...(gw === undefined ? {} : { gw }) };
}
