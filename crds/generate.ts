import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { dump } from 'js-yaml';
import { customResourceDefinition } from './custom-resource-definition.ts';
import { KINDS } from './kinds.ts';

// Writes the CRD YAML twice, plain for `kubectl apply -f crds/generated` and as chart templates (a chart's crds/ folder is never upgraded by
// Helm; resource-policy keep so that uninstalling the chart does not delete every tenant). `--check` compares instead: CI runs it.

const root = join(import.meta.dirname, '..');
const check = process.argv.includes('--check');
const HEADER = '# Generated from crds/*.ts by `npm run generate`. Do not edit.\n';
let stale = false;

for (const definition of KINDS) {
  const crd = customResourceDefinition(definition);
  const text = HEADER + dump(crd, { noRefs: true, lineWidth: 140 });
  put(`crds/generated/${definition.plural}.yaml`, text);
  put(`charts/relay-operator/templates/crds/${definition.plural}.yaml`, chartTemplate(text));
}
process.exitCode = stale ? 1 : 0;

/** `{{` in a description would be read by Helm; the replacement prints it. */
function chartTemplate(text: string): string {
  const escaped = text.replaceAll('{{', '{{ "{{" }}');
  const kept = escaped.replace('metadata:\n', 'metadata:\n  annotations:\n    helm.sh/resource-policy: keep\n');
  return `{{- if .Values.crds.enabled }}\n${kept}{{- end }}\n`;
}

function put(path: string, text: string): void {
  const absolute = join(root, path);
  if (check) {
    if (read(absolute) === text) return;
    console.error(`${path} is not what crds/*.ts generates: run npm run generate and commit the result`);
    stale = true;
    return;
  }
  mkdirSync(dirname(absolute), { recursive: true });
  writeFileSync(absolute, text);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
