/** Which shared libraries programs need, from what readelf(1) prints of them. */

/** @param dynamicSection what `readelf --dynamic` prints. @returns names such as `libc.so.6`. */
export function neededBy(dynamicSection: string): string[] {
  return [...dynamicSection.matchAll(/\(NEEDED\)\s+Shared library: \[([^\]]+)\]/g)].map((match) => match[1]!);
}

/**
 * All libraries that these files need, and those need in turn.
 * @param find the file of a library; undefined where there is none.
 * @param read what `readelf --dynamic` prints of a file.
 * @returns files by the name of their library.
 * @throws Error that names a library which is nowhere, and who needs it.
 */
export function closureOf(
  files: readonly string[],
  find: (library: string) => string | undefined,
  read: (file: string) => string,
): Map<string, string> {
  const found = new Map<string, string>();
  const open = [...files];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    for (const library of neededBy(read(file))) {
      if (found.has(library)) continue;
      const path = find(library);
      if (path === undefined)
        throw new Error(`${file} needs ${library}, which none of the Debian packages has`);
      found.set(library, path);
      open.push(path);
    }
  }
  return found;
}
