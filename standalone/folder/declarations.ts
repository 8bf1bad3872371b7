import { z } from 'zod';
import { clientCertificateSpec, type ClientCertificateSpec } from '#crds/client-certificate.ts';
import { relayAppSpec, type RelayAppSpec } from '#crds/relay-app.ts';
import { relayTokenSpec, type RelayTokenSpec } from '#crds/relay-token.ts';
import { formatPath, validateManifest, validateUpdate, type FieldError } from '#crds/validate.ts';
import type { ManifestFile } from './manifest-files.ts';
import { isSecretManifest, readSecretManifest, type SecretManifest } from './secret-manifest.ts';
import { parseYaml, type YamlDocument } from './yaml-documents.ts';

type Common = {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** The file that declares it, and the line of its document. */
  readonly file: string;
  readonly line: number;
};

/** An object as a file of the folder declares it. */
export type Declaration = Common &
  (
    | { readonly kind: 'RelayApp'; readonly spec: RelayAppSpec }
    | { readonly kind: 'RelayToken'; readonly spec: RelayTokenSpec }
    | { readonly kind: 'ClientCertificate'; readonly spec: ClientCertificateSpec }
  );

/** A Secret that a file declares for objects to refer to. */
export type SecretDeclaration = SecretManifest & {
  readonly kind: 'Secret';
  readonly namespace: string;
  readonly file: string;
  readonly line: number;
};

export type Problem = { readonly file: string; readonly line: number | undefined; readonly message: string };

export type Declared = {
  readonly declarations: readonly Declaration[];
  readonly secrets: readonly SecretDeclaration[];
  readonly problems: readonly Problem[];
  /** Every object that a document names, also a document that is wrong: none of these has been taken out of the folder. */
  readonly named: ReadonlySet<IdentityKey>;
};

/** What is known of an object already, for the rules that compare. */
export type Existing = { readonly file: string; readonly spec: unknown };

export type Identity = {
  readonly kind: Declaration['kind'] | SecretDeclaration['kind'];
  readonly namespace: string;
  readonly name: string;
};
export type IdentityKey = `${Identity['kind']}/${string}/${string}`;

export function identityOf({ kind, namespace, name }: Identity): IdentityKey {
  return `${kind}/${namespace}/${name}`;
}

const DEFAULT_NAMESPACE = 'default';

/**
 * Reads declarations from files. A document that is wrong in any way is a problem and declares nothing; the other documents of its file
 * are not affected. Pure: `existing` is what each object is at the moment.
 */
export function declare(
  files: readonly ManifestFile[],
  existing: (key: IdentityKey) => Existing | undefined,
): Declared {
  const problems: Problem[] = [];
  const named = new Set<IdentityKey>();
  const found = new Map<IdentityKey, { declaration: Declaration; document: YamlDocument }[]>();
  const secrets = new Map<IdentityKey, SecretDeclaration>();
  for (const file of files) {
    for (const { declaration, document, errors } of readFile(file, problems)) {
      problems.push(...errors);
      const identity = nameOf(document);
      if (identity !== undefined) named.add(identity);
      if (declaration === undefined) continue;
      if (declaration.kind === 'Secret') {
        const first = secrets.get(identityOf(declaration));
        if (first === undefined) secrets.set(identityOf(declaration), declaration);
        else problems.push(declaredTwice(declaration, first));
        continue;
      }
      const key = identityOf(declaration);
      found.set(key, [...(found.get(key) ?? []), { declaration, document }]);
    }
  }
  const declarations: Declaration[] = [];
  for (const [key, candidates] of found) {
    const held = existing(key);
    // Whoever declares it already goes on to: a copy in another file must not take over.
    const chosen = candidates.find(({ declaration }) => declaration.file === held?.file) ?? candidates[0];
    if (chosen === undefined) continue;
    for (const { declaration } of candidates.filter((candidate) => candidate !== chosen)) {
      problems.push(declaredTwice(declaration, chosen.declaration));
    }
    const { declaration, document } = chosen;
    const errors = held === undefined ? [] : validateUpdate(declaration.kind, declaration.spec, held.spec);
    if (errors.length === 0) declarations.push(declaration);
    problems.push(...errors.map((error) => problemOf(declaration.file, document, error)));
  }
  return { declarations, secrets: [...secrets.values()], problems, named };
}

function declaredTwice(
  { kind, namespace, name, file, line }: Declaration | SecretDeclaration,
  other: Declaration | SecretDeclaration,
): Problem {
  return {
    file,
    line,
    message: `${kind} ${namespace}/${name} is declared twice: see line ${other.line} of ${other.file}`,
  };
}

type Read = {
  readonly declaration: Declaration | SecretDeclaration | undefined;
  readonly document: YamlDocument;
  readonly errors: readonly Problem[];
};

function readFile(file: ManifestFile, problems: Problem[]): Read[] {
  if (!file.ok) {
    problems.push({ file: file.path, line: undefined, message: file.message });
    return [];
  }
  const yaml = parseYaml(file.text);
  if (!yaml.ok) {
    problems.push({ file: file.path, line: yaml.line, message: yaml.message });
    return [];
  }
  return yaml.documents.map((document) => {
    if (isSecretManifest(document.value)) return readSecret(file.path, document);
    const result = validateManifest(document.value);
    if (!result.ok) {
      const errors = result.errors.map((error) => problemOf(file.path, document, error));
      return { declaration: undefined, document, errors };
    }
    const { kind, metadata, spec } = result.manifest;
    const common = {
      ...metadata,
      namespace: metadata.namespace ?? DEFAULT_NAMESPACE,
      file: file.path,
      line: document.lineOf([]),
    };
    return { declaration: typed(kind, common, spec), document, errors: [] };
  });
}

function readSecret(file: string, document: YamlDocument): Read {
  const result = readSecretManifest(document.value);
  if (!result.ok) {
    const errors = result.errors.map((error) => problemOf(file, document, error));
    return { declaration: undefined, document, errors };
  }
  const { secret } = result;
  const namespace = secret.namespace ?? DEFAULT_NAMESPACE;
  return {
    declaration: { ...secret, kind: 'Secret', namespace, file, line: document.lineOf([]) },
    document,
    errors: [],
  };
}

const identity = z.object({
  kind: z.enum(['RelayApp', 'RelayToken', 'ClientCertificate', 'Secret']),
  metadata: z.object({ name: z.string(), namespace: z.string().default(DEFAULT_NAMESPACE) }),
});

function nameOf({ value }: YamlDocument): IdentityKey | undefined {
  const parsed = identity.safeParse(value);
  return parsed.success ? identityOf({ kind: parsed.data.kind, ...parsed.data.metadata }) : undefined;
}

function typed(kind: Declaration['kind'], common: Common, spec: unknown): Declaration {
  switch (kind) {
    case 'RelayApp':
      return { ...common, kind, spec: z.parse(relayAppSpec, spec) };
    case 'RelayToken':
      return { ...common, kind, spec: z.parse(relayTokenSpec, spec) };
    case 'ClientCertificate':
      return { ...common, kind, spec: z.parse(clientCertificateSpec, spec) };
  }
}

function problemOf(file: string, document: YamlDocument, { path, message }: FieldError): Problem {
  const field = path.length === 0 ? '' : `${formatPath(path)}: `;
  return { file, line: document.lineOf(path), message: `${field}${message}` };
}
