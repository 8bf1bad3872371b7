import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { runInThisContext } from 'node:vm';

const ourRequire = createRequire(import.meta.url);

/**
 * Runs a CommonJS file of an installed package as it is, with modules that the package does not bring, and with the words of the test
 * runner that it was written for (`describe`, `it` …) as globals of that file only. Answers its `module.exports`.
 */
export function runUnmodified(
  file: string,
  provided: Readonly<Record<string, unknown>>,
  globals: Readonly<Record<string, unknown>>,
): unknown {
  const path = ourRequire.resolve(file);
  const theirRequire = createRequire(path);
  const module = { exports: {} };
  const parameters = ['require', 'module', 'exports', '__dirname', ...Object.keys(globals)];
  const source = `(function (${parameters.join(', ')}) {${readFileSync(path, 'utf8')}\n})`;
  const run = runInThisContext(source, { filename: path }) as (...values: readonly unknown[]) => void;
  const require = (name: string): unknown => (name in provided ? provided[name] : (theirRequire(name) as unknown));
  run(require, module, module.exports, dirname(path), ...Object.values(globals));
  return module.exports;
}
