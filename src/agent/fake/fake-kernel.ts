/** The edges of an agent that may be refused or killed, around those that do what they are asked. */
import type { Conntrack } from '../../edge/conntrack/conntrack.ts';
import { describeOperation } from '../../edge/netlink/codec/operation.ts';
import { type Kernel, NetlinkError, type Operation } from '../../edge/netlink/kernel.ts';
import type { Nftables } from '../../edge/nftables/nft.ts';
import type { Sysctls } from '../../edge/sysctl/sysctls.ts';
import type { Life } from './fake-life.ts';

/** @param where the first half of what calls are named by: `kernel`, `pod`. */
export function mortalKernel(kernel: Kernel, life: Life, where = 'kernel'): Kernel {
  const applyOne = (operation: Operation) => {
    try {
      life.pass(`${where}.apply ${operation.op}`);
    } catch (error) {
      if (life.isOver || !(error instanceof NetlinkError)) throw error;
      return new NetlinkError(describeOperation(operation), error.errno);
    }
    return kernel.apply([operation])[0];
  };
  const apply = (operations: readonly Operation[]) => operations.map(applyOne);
  return {
    ...guard(kernel, where, life, {
      now: [
        'links',
        'link',
        'addresses',
        'routes',
        'neighbors',
        'fdb',
        'rules',
        'qdiscs',
        'redirects',
        'networkConfigurations',
      ],
      later: ['readEntries'],
    }),
    apply,
    applyAsync: (operations) => life.passLater(`${where}.applyAsync`, async () => apply(operations)),
  };
}

export function mortalNftables(nftables: Nftables, life: Life): Nftables {
  return {
    ...guard(nftables, 'nftables', life, {
      now: ['change', 'holds'],
      later: ['replace', 'amend', 'counts', 'remove', 'read', 'baseChains', 'foreignNat'],
    }),
    watch: (onChange, onProblem) => {
      life.pass('nftables.watch');
      return nftables.watch(life.tell(onChange), onProblem);
    },
  };
}

export function mortalSysctls(sysctls: Sysctls, life: Life): Sysctls {
  return {
    read: (name) => {
      life.pass(`sysctl.read ${name}`);
      return sysctls.read(name);
    },
    write: (setting, namespace) => {
      life.pass(`sysctl.write ${setting.name}`);
      sysctls.write(setting, namespace);
    },
  };
}

export function mortalConntrack(life: Life): Conntrack {
  return {
    forget: () => life.passLater('conntrack.forget', async () => undefined),
    walk: async function* () {},
    cut: () => life.passLater('conntrack.cut', async () => undefined),
    [Symbol.dispose]: () => undefined,
  };
}

type Call = (...args: unknown[]) => unknown;

/** @param calls which of them answer at once, and which are waited for. */
function guard<T extends object>(
  edge: T,
  where: string,
  life: Life,
  calls: { now: readonly (keyof T & string)[]; later: readonly (keyof T & string)[] },
): T {
  const of = (name: keyof T) => edge[name] as Call;
  const now = calls.now.map((name): [string, Call] => [
    name,
    (...args) => {
      life.pass(`${where}.${name}`);
      return of(name)(...args);
    },
  ]);
  const later = calls.later.map((name): [string, Call] => [
    name,
    (...args) => life.passLater(`${where}.${name}`, async () => of(name)(...args)),
  ]);
  return { ...edge, ...Object.fromEntries([...now, ...later]) };
}
