/** Which requests an account may make: the rules of its roles (rbac.authorization.k8s.io/v1), and nothing else. */

export type Rule = {
  apiGroups: readonly string[];
  /** `pods`, `nodes/status`. */
  resources: readonly string[];
  verbs: readonly string[];
  /** Absent: whatever its name. */
  resourceNames?: readonly string[];
};

/** Rules of one role; those of a Role hold in its namespace alone. */
export type Grant = { rules: readonly Rule[]; namespace?: string };

/** A request as rules see it. */
export type Attempt = { verb: string; group: string; resource: string; namespace?: string; name?: string };

/** As far as it is read here: a role, or what binds one to accounts. */
export type RoleObject = {
  kind: string;
  metadata: { name: string; namespace?: string };
  rules?: readonly Rule[];
  roleRef?: { kind: string; name: string };
  subjects?: readonly { kind: string; name: string }[];
};

const VERBS: Readonly<Record<string, readonly [ofOne: string, ofMany: string]>> = {
  GET: ['get', 'list'],
  POST: ['create', 'create'],
  PUT: ['update', 'update'],
  PATCH: ['patch', 'patch'],
  DELETE: ['delete', 'deletecollection'],
};

/** @returns undefined for what is no resource: discovery, health. */
export function attemptOf(method: string, path: string, watch: boolean): Attempt | undefined {
  const [root, ...rest] = path.split('/').slice(1);
  const [group, , ...segments] = root === 'api' ? ['', ...rest] : root === 'apis' ? rest : [];
  if (group === undefined || segments.length === 0) return undefined;
  const inside = segments[0] === 'namespaces' && segments.length > 2;
  const [resource = '', name, subresource] = inside ? segments.slice(2) : segments;
  const [ofOne, ofMany] = VERBS[method] ?? ['', ''];
  return {
    verb: name !== undefined ? ofOne : watch && ofMany === 'list' ? 'watch' : ofMany,
    group,
    resource: subresource === undefined ? resource : `${resource}/${subresource}`,
    ...(inside ? { namespace: segments[1]! } : {}),
    ...(name === undefined ? {} : { name }),
  };
}

/** The rules that allow it. */
export function rulesFor(attempt: Attempt, grants: readonly Grant[]): Rule[] {
  return grants
    .filter(({ namespace }) => namespace === undefined || namespace === attempt.namespace)
    .flatMap(({ rules }) => rules)
    .filter(
      ({ apiGroups, resources, verbs, resourceNames }) =>
        apiGroups.includes(attempt.group) &&
        resources.includes(attempt.resource) &&
        verbs.includes(attempt.verb) &&
        (resourceNames === undefined || (attempt.name !== undefined && resourceNames.includes(attempt.name))),
    );
}

/** What the bindings among these objects give a service account. */
export function grantsTo(account: string, objects: readonly RoleObject[]): Grant[] {
  return objects.flatMap(({ kind, metadata, roleRef, subjects = [] }) => {
    if (!kind.endsWith('Binding')) return [];
    if (!subjects.some((subject) => subject.kind === 'ServiceAccount' && subject.name === account)) return [];
    const role = objects.find(
      (object) =>
        object.kind === roleRef?.kind &&
        object.metadata.name === roleRef.name &&
        (object.kind === 'ClusterRole' || object.metadata.namespace === metadata.namespace),
    );
    if (role?.rules === undefined) return [];
    return [{ rules: role.rules, ...(kind === 'RoleBinding' ? { namespace: metadata.namespace! } : {}) }];
  });
}

/** As the API server puts it. */
export function refusalOf({ verb, group, resource, namespace, name }: Attempt): string {
  const which = name === undefined ? '' : ` ${JSON.stringify(name)}`;
  const where =
    namespace === undefined ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`;
  return `${resource}${which} is forbidden: the account cannot ${verb} resource ${JSON.stringify(resource)} in API group ${JSON.stringify(group)} ${where}`;
}
