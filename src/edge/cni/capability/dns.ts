/** What a pod's name resolution shall use (specification, "DNS"); Fairlead hands it on and sets up nothing. */
import { defined, type JsonObject, listAt, refuseField, textAt } from '../json.ts';

export type Dns = { nameservers?: string[]; domain?: string; search?: string[]; options?: string[] };

/** As configurations and results have it. */
export function parseDns(dns: JsonObject, field: string): Dns {
  return collect(dns, field, { nameservers: 'nameservers', search: 'search', options: 'options' });
}

/** As the capability `dns` has it: the lists are called `servers` and `searches` there. */
export function parseRuntimeDns(dns: JsonObject, field: string): Dns {
  return collect(dns, field, { nameservers: 'servers', search: 'searches', options: 'options' });
}

function collect(
  dns: JsonObject,
  field: string,
  names: Record<'nameservers' | 'search' | 'options', string>,
): Dns {
  const texts = (name: string) => textsAt(dns, name, field);
  return defined({
    nameservers: texts(names.nameservers),
    domain: textAt(dns, 'domain', `${field}.domain`),
    search: texts(names.search),
    options: texts(names.options),
  });
}

/** @returns undefined for an empty list. */
function textsAt(dns: JsonObject, name: string, field: string): string[] | undefined {
  const texts = listAt(dns, name, `${field}.${name}`).map((item) => {
    if (typeof item !== 'string') throw refuseField(`${field}.${name}`, item, 'list texts');
    return item;
  });
  return texts.length === 0 ? undefined : texts;
}
