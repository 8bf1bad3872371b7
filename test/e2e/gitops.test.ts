import { afterAll, beforeAll, expect, test } from 'vitest';
import { installFor, type Installation } from '#test/parts/installation.ts';
import { describeOnControlPlane } from '#test/parts/shared-control-plane.ts';
import { Tenant, type Declared } from '#test/parts/tenant.ts';

// What Flux and Argo CD see of a rotation. Both ask the API server what an object would be if their manifest were applied now (server-side,
// as a dry run), and compare that with what is there: Flux its labels, annotations and everything but metadata and status, Argo CD with
// `ServerSideDiff=true` all of it but status and what only the server sets.

const NAMESPACE = 'gitops';
const MANAGERS = ['kustomize-controller', 'argocd-controller'] as const;

type Stored = Declared & {
  readonly metadata: Declared['metadata'] & {
    readonly annotations?: Readonly<Record<string, string>>;
    readonly managedFields?: readonly { readonly manager: string; readonly fieldsV1: object }[];
  };
};
type Status = { readonly credentials?: readonly { readonly state: string }[] };

describeOnControlPlane('GitOps', (cluster) => {
  const tenant = new Tenant(cluster, NAMESPACE);
  let installation: Installation;

  beforeAll(async () => {
    installation = await installFor(cluster, NAMESPACE, { operators: 1 });
  });

  afterAll(async () => {
    await installation?.[Symbol.asyncDispose]();
  });

  const applied = async (manager: string, manifests: readonly object[], ...flags: string[]): Promise<Stored[]> => {
    const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: manifests });
    const args = ['apply', '--server-side', `--field-manager=${manager}`, '--force-conflicts', ...flags];
    const text = await cluster.kubectlOk([...args, '-o', 'json', '-f', '-'], { input });
    return (JSON.parse(text) as { readonly items: Stored[] }).items;
  };
  const compared = ({ metadata, spec }: Stored) => {
    const { generation, labels = {}, annotations = {} } = metadata;
    return { generation, labels, annotations, spec };
  };
  const stored = async (kind: 'RelayApp' | 'RelayToken' | 'ClientCertificate', name: string): Promise<Stored> => {
    const object = await tenant.get(kind, name);
    if (object === undefined) throw new Error(`there is no ${kind} ${name}`);
    return object;
  };
  const states = async (kind: 'RelayApp' | 'RelayToken', name: string): Promise<string> => {
    const status = (await tenant.get(kind, name))?.status as Status | undefined;
    return (status?.credentials ?? []).map(({ state }) => state).join();
  };

  test.each(MANAGERS)('%s sees no difference before, during and after a rotation', async (manager) => {
    const app = `app-of-${manager}`;
    const token = `token-of-${manager}`;
    const certificate = `cert-of-${manager}`;
    const rotation = { overlap: '5s', deadline: '10s' };
    const manifests = [
      tenant.app(app, { rotation }),
      tenant.token(token, app, { rotation: { ...rotation, grace: '5s' } }),
      tenant.certificate(certificate, app, {
        fingerprint: { sha256: manager === 'argocd-controller' ? 'ab'.repeat(32) : 'cd'.repeat(32) },
      }),
    ];
    const differences: unknown[] = [];
    let compares = 0;
    /** Applies at each look besides, as Flux does at its interval. */
    const look = async (): Promise<void> => {
      const wouldBe = await applied(manager, manifests, '--dry-run=server');
      const now = await Promise.all([
        stored('RelayApp', app),
        stored('RelayToken', token),
        stored('ClientCertificate', certificate),
      ]);
      for (const [at, object] of now.entries()) {
        const [seen, wanted] = [compared(object), compared(wouldBe[at] ?? object)];
        compares += 1;
        if (JSON.stringify(seen) !== JSON.stringify(wanted)) differences.push({ seen, wanted });
      }
      for (const { metadata } of await applied(manager, manifests, '--show-managed-fields')) {
        const owners = (metadata.managedFields ?? []).filter(({ fieldsV1 }) => 'f:spec' in fieldsV1);
        if (owners.map((owner) => owner.manager).join() !== manager) differences.push({ owners });
      }
    };

    await applied(manager, manifests);
    await tenant.until('all of it is enforced', async () => {
      await look();
      const objects = await tenant.list('relayapp,relaytoken,clientcertificate');
      return objects
        .filter(({ metadata }) => metadata.name.endsWith(manager))
        .every(({ status }) =>
          status?.conditions?.some(({ type, status: is }) => type === 'Enforced' && is === 'True'),
        );
    });
    const [key, secret] = [
      await tenant.value(`${app}-relay`, 'PUSHER_APP_KEY'),
      await tenant.value(`${token}-token`, 'RELAY_TOKEN'),
    ];

    // The one thing in metadata that a person changes: it stays, for no manifest names it.
    for (const object of [`relayapp/${app}`, `relaytoken/${token}`]) {
      await tenant.kubectl('annotate', object, 'relay-operator.dev/rotate=now');
    }
    await tenant.until('both are replaced', async () => {
      await look();
      return (
        (await tenant.value(`${app}-relay`, 'PUSHER_APP_KEY')) !== key &&
        (await tenant.value(`${token}-token`, 'RELAY_TOKEN')) !== secret
      );
    });
    await tenant.until('and the old ones are gone', async () => {
      await look();
      return (await states('RelayApp', app)) === 'Active' && (await states('RelayToken', token)) === 'Active';
    });
    await look();

    expect(differences).toEqual([]);
    expect(compares).toBeGreaterThan(9);
    const objects = await Promise.all([stored('RelayApp', app), stored('RelayToken', token)]);
    expect(objects.map(({ metadata }) => metadata.generation)).toEqual([1, 1]);
  });
});
