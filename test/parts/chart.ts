import { join } from 'node:path';
import { loadAll } from 'js-yaml';
import { z } from 'zod';
import type { SharedControlPlane } from './shared-control-plane.ts';

const CHART = join(import.meta.dirname, '../../charts/relay-operator');

const kubernetesObject = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }),
});

export type ChartObject = z.infer<typeof kubernetesObject>;

export type ChartOptions = {
  /** Also the prefix of the objects' names when it contains "relay-operator". */
  readonly release?: string;
  readonly namespace: string;
  /** As values.yaml: misspelt keys are refused. */
  readonly values?: object;
};

/** The objects that the chart renders, CRDs included, in the order of `helm install`. Rejects with Helm's words. */
export async function renderChart(
  { helm }: Pick<SharedControlPlane, 'helm'>,
  { release = 'relay-operator', namespace, values = {} }: ChartOptions,
): Promise<ChartObject[]> {
  const { code, stdout, stderr } = await helm(['template', release, CHART, '--namespace', namespace, '--values', '-'], {
    input: JSON.stringify(values),
  });
  if (code !== 0) throw new Error(`helm template failed (${code}): ${stderr.trim()}`);
  const documents = loadAll(stdout).filter((document) => document !== null && document !== undefined);
  return z.array(kubernetesObject).parse(documents);
}

/**
 * What the processes of a release need of the API server: CRDs, ServiceAccounts, Roles and their bindings. Tests apply these and run
 * the operator with `serviceAccountKubeconfig(namespace, operatorServiceAccount(objects))`, so that a missing rule fails them.
 */
export function accessObjects(objects: readonly ChartObject[]): ChartObject[] {
  const kinds = new Set([
    'CustomResourceDefinition',
    'ServiceAccount',
    'Role',
    'ClusterRole',
    'RoleBinding',
    'ClusterRoleBinding',
  ]);
  return objects.filter(({ kind }) => kinds.has(kind));
}

/** The name of the ServiceAccount that the operator's Deployment runs as. */
export function operatorServiceAccount(objects: readonly ChartObject[]): string {
  return serviceAccountOf(objects, 'operator');
}

/** The name of the ServiceAccount that the relay's Deployment runs as. */
export function relayServiceAccount(objects: readonly ChartObject[]): string {
  return serviceAccountOf(objects, 'relay');
}

const deployment = z.object({
  kind: z.literal('Deployment'),
  spec: z.object({
    template: z.object({
      spec: z.object({ serviceAccountName: z.string(), containers: z.array(z.object({ name: z.string() })) }),
    }),
  }),
});

function serviceAccountOf(objects: readonly ChartObject[], container: string): string {
  for (const object of objects) {
    const parsed = deployment.safeParse(object);
    if (!parsed.success) continue;
    const { serviceAccountName, containers } = parsed.data.spec.template.spec;
    if (containers.some(({ name }) => name === container)) return serviceAccountName;
  }
  throw new Error(`the chart renders no Deployment with a container ${container}`);
}
