import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startInstallation, type Installation } from '#test/parts/installation.ts';
import { runProcess } from '#test/parts/process.ts';
import { describeOnControlPlane } from '#test/parts/shared-control-plane.ts';

// docs/getting-started.md from the tenant on, and how to rotate of docs/rotation.md, as they stand there: the installation before it is this test's own, and the port is forwarded by
// nobody, for there are no pods.

const documentOf = (name: string): string => readFileSync(new URL(`../../docs/${name}.md`, import.meta.url), 'utf8');
const document = documentOf('getting-started');
/** How to rotate now: the first block of commands there. */
const ROTATE = /```sh\n([^]*?)```/.exec(documentOf('rotation'))?.[1] ?? 'false';

/** The blocks of bash under the heading that begins so. */
function blocks(heading: string): readonly string[] {
  const section = document.split(/^## /m).find((text) => text.startsWith(heading)) ?? '';
  const found = [...section.matchAll(/```bash\n([^]*?)```/g)].map(([, block = '']) => block);
  if (found.length === 0) throw new Error(`docs/getting-started.md has no commands under ${heading}`);
  return found;
}

describeOnControlPlane('getting started', (cluster) => {
  let installation: Installation;

  beforeAll(async () => {
    await cluster.kubectlOk(['apply', '--server-side', '-f', 'crds/generated']);
    await cluster.kubectlOk(['create', 'namespace', 'getting-started']);
    installation = await startInstallation({
      kubeconfig: cluster.adminKubeconfig,
      namespace: 'getting-started',
      watchNamespaces: ['shop'],
    });
  });

  afterAll(async () => {
    await installation?.[Symbol.asyncDispose]();
  });

  test('the commands of steps 5, 7 and 8, and those that rotate, do what stands beside them', async () => {
    const [relay, other] = installation.relays;
    if (relay === undefined || other === undefined) throw new Error('two relays expected');
    const [revoke = '', remove = ''] = blocks('8. ');
    const ask = (url: string, as: string): string =>
      `curl -sS -o /dev/null -w '%{http_code}\\n' "${url}/apps/$APP_ID/channels" -H ${as}`;
    const script = [
      ...blocks('5. '),
      ...blocks('7. '),
      ROTATE,
      revoke,
      ...[relay.url, other.url].map((url) => ask(url, '"Authorization: Bearer $TOKEN"')),
      'kubectl -n shop get secret ci-token -o jsonpath="left: {.data.RELAY_TOKEN}."',
      remove,
      ask(other.url, '"X-Relay-Key: $APP_KEY" -H "X-Relay-Secret: $APP_SECRET"'),
    ]
      .join('\n')
      // Another file of this lane may have made it.
      .replace(
        'kubectl create namespace shop',
        'kubectl get namespace shop --ignore-not-found | grep shop || kubectl create namespace shop',
      )
      .replaceAll('http://127.0.0.1:6001', relay.url)
      .replaceAll('port: "6001"', `port: "${relay.port}"`);
    const { code, stdout, stderr } = await runProcess(
      {
        command: 'bash',
        args: ['-euo', 'pipefail', '-c', script],
        env: { KUBECONFIG: cluster.adminKubeconfig, PATH: `${dirname(cluster.kubectlPath)}:${process.env['PATH']}` },
      },
      { timeoutMs: 120_000 },
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.not.stringContaining('rror') as string });

    // What is printed there has the same columns.
    const columns = (text: string): readonly string[] =>
      text
        .split('\n')
        .filter((line) => /^NAME .*READY/.test(line))
        .map((line) => line.replaceAll(/\s+/g, ' '));
    expect(columns(document)).toHaveLength(2);
    expect(columns(stdout)).toEqual(columns(document));
    // Bearer token, key with secret, and the SDK; then the revoked token at each relay.
    expect(stdout.replaceAll(/\s/g, '')).toMatch(/\{\}\{\}200.*annotated.*\{.*"next":.*conditionmet401401left:\./);
    expect(stdout).toMatch(/relayapp\S* "checkout" deleted[^]*\n404\n$/);
  });
});
