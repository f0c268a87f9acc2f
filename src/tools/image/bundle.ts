/** The command line as one file of JavaScript. */
import { buildSync } from 'esbuild';

/** Programs of the image find it by this first line: there is no shell and no env(1) to do it. */
const FIRST_LINE = '#!/usr/bin/node';
/** Packages in the older module format ask for Node's own modules by this name. */
const REQUIRE =
  "import{createRequire as makeRequire}from'node:module';const require=makeRequire(import.meta.url);";
/** Characters after which a line is broken, so that a stack trace names a place that can be found. */
const LINE = 120;

/** @param entry the source. @param file where the bundle is written. */
export function writeBundle(entry: string, file: string): void {
  buildSync({
    entryPoints: [entry],
    outfile: file,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    banner: { js: `${FIRST_LINE}\n${REQUIRE}` },
    // Names stay, so that errors and stack traces read like the source.
    minifyWhitespace: true,
    minifySyntax: true,
    lineLimit: LINE,
    legalComments: 'none',
    logLevel: 'warning',
  });
}
