/** Errors that mean that what was asked for is so already. */
import type { NetlinkError } from './kernel.ts';

const ABSENT = new Set(['ENOENT', 'ESRCH', 'ENODEV', 'EADDRNOTAVAIL']);

/** The object that was to be deleted is not there. */
export function isAbsent(error: NetlinkError): boolean {
  return ABSENT.has(error.errno);
}

export function isPresent(error: NetlinkError): boolean {
  return error.errno === 'EEXIST';
}
