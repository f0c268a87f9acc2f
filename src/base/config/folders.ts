/** What fits a key that names a folder of the host. */

/** A path of the host, or nothing. */
export const FOLDER = {
  pattern: '^$|^/.*[^/]$',
  patternHint: 'write an absolute path, without a slash at the end',
} as const;
/** A name that is neither `.` nor `..`; Helm's checker of schemas knows no lookahead. */
const NAME = '(?:[^/.][^/]*|\\.[^/.][^/]*|\\.\\.[^/]+)';
export const ABSOLUTE = {
  pattern: `^(?:/${NAME})+$`,
  patternHint: 'write an absolute path, without .. in it and without a slash at the end',
} as const;
/** Two names deep, as every folder of a program is, and none of those that many programs share. */
export const OWN_FOLDER = {
  pattern: `^(?:/${NAME}){2,}$`,
  // `/cni.sock` fits behind it into the 107 bytes of a socket's path.
  maxLength: 98,
  not: [
    '/dev/shm',
    '/etc/cni',
    '/etc/cni/net.d',
    '/opt/cni',
    '/opt/cni/bin',
    '/proc/sys',
    '/run/lock',
    '/run/netns',
    '/run/user',
    '/usr/bin',
    '/usr/lib',
    '/usr/local',
    '/usr/sbin',
    '/usr/share',
    '/var/cache',
    '/var/lib',
    '/var/lib/cni',
    '/var/lib/containerd',
    '/var/lib/containers',
    '/var/lib/kubelet',
    '/var/lock',
    '/var/log',
    '/var/run',
    '/var/spool',
    '/var/tmp',
  ],
  patternHint:
    'write the absolute path of a folder that is Fairlead’s alone, as /run/fairlead: at least two names deep and 98 characters at most, without .. in it and without a slash at the end',
} as const;
