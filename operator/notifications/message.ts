import type { Occasion } from './occasion.ts';

/** What people read: what happened, what it means for them, what to do, and the commands for it. Rendered by `text.ts`. */
export type Message = {
  /** One line. */
  readonly subject: string;
  readonly paragraphs: readonly string[];
  /** What to do, each with the command for it. */
  readonly actions: readonly Action[];
  /** Who says so, and why to you. */
  readonly footer: string;
};
export type Action = { readonly text: string; readonly command: string };

/** Which operator speaks: people may have several. */
export type Sender = { readonly installation: string; readonly relayUrl: string };

/** The message of an occasion. Pure: golden files in `testdata/` are its test. */
export function messageOf(occasion: Occasion, { installation, relayUrl }: Sender): Message {
  return {
    ...told(occasion),
    footer: `Sent by the relay operator of ${relayUrl} (installation ${installation}), once for each occasion. spec.rotation.notify of the RelayApp says to whom.`,
  };
}

const NOUN = { RelayApp: 'credential', RelayToken: 'token', ClientCertificate: 'certificate' } as const;
const CAUSE = {
  Interval: 'because its interval was over',
  Annotation: 'because somebody asked for it with the annotation relay-operator.dev/rotate',
  Imported: 'because the Secret that it is imported from has changed',
  SecretLost: 'because its Secret was deleted or changed by somebody else',
  Renewed: 'because cert-manager renewed it',
} as const;
/** Another one has its place: ways for a credential to end. */
const REPLACED: ReadonlySet<string> = new Set(['Deadline', 'MadeRoom', 'AppDeleted']);
/** What a new life is suggested to last: what this product rotates by. */
const LIFE_MS = 90 * 86_400_000;

function told(occasion: Occasion): Omit<Message, 'footer'> {
  const { kind, namespace, name, appId, credentialId } = occasion;
  const noun = NOUN[kind];
  const object = `${kind} ${namespace}/${name}`;
  const it = `The ${noun} ${credentialId} of ${object} (app ${appId})`;
  switch (occasion.what) {
    case 'RotationUpcoming': {
      const { at, overlapMs } = occasion;
      return {
        subject: `${object}: the ${noun} is rotated on ${utc(at)}`,
        paragraphs: [
          `${it} will be replaced by a new one on ${utc(at)}.${handedOut(occasion, ' The new one is then')}`,
          `The old one goes on working until ${utc(at + overlapMs)}, and after that for as long as somebody uses it, up to its deadline. Applications that read the Secret again in this time notice nothing.`,
        ],
        actions: [
          ...(kind === 'ClientCertificate'
            ? []
            : [
                {
                  text: 'Nothing has to be done. To rotate at a time of your choice, do it now:',
                  command: `kubectl annotate ${resource(occasion)} --overwrite relay-operator.dev/rotate="$(date +%s)"`,
                },
              ]),
          look(occasion),
        ],
      };
    }
    case 'Rotated': {
      const { at, worksUntil, goneBy, cause } = occasion;
      const then =
        goneBy > worksUntil
          ? ` After that it goes as soon as nobody uses it any more, on ${utc(goneBy)} at the latest.`
          : ' After that it is refused.';
      return {
        subject: `${object}: the ${noun} was rotated, the old one works until ${utc(worksUntil)}`,
        paragraphs: [
          `${it} was replaced by a new one on ${utc(at)}, ${CAUSE[cause]}.${handedOut(occasion, ' The new one is')}`,
          `The old one goes on working until ${utc(worksUntil)}.${then}`,
        ],
        actions: [...restart(occasion), look(occasion)],
      };
    }
    case 'ExpiryUpcoming': {
      const { at } = occasion;
      return {
        subject: `${object}: the ${noun} expires on ${utc(at)}`,
        paragraphs: [
          `${it} expires on ${utc(at)}.`,
          isIssued(occasion)
            ? 'cert-manager should have another one ready by then, and has not so far. If none comes, whoever uses it is refused from then on.'
            : 'Nothing takes its place by itself: whoever uses it is refused from then on.',
        ],
        actions: [...prolong(occasion, at), look(occasion)],
      };
    }
    case 'OldCredentialInUse': {
      const { at, goneBy, use } = occasion;
      return {
        subject: `${object}: the old ${noun} is still in use, and refused from ${utc(goneBy)} on`,
        paragraphs: [
          `${it} was replaced, and the time in which both work was over on ${utc(at)}. It is still in use: ${used(use)}.`,
          `It goes as soon as nobody uses it any more, on ${utc(goneBy)} at the latest. Whoever uses it then is refused.${handedOut(occasion, ' The one to use is')}`,
        ],
        actions: [...restart(occasion), look(occasion)],
      };
    }
    case 'DiedInUse': {
      const { at, why, use } = occasion;
      const how = {
        Deadline: `was replaced, ${kind === 'ClientCertificate' ? 'expired' : 'reached its deadline'} on ${utc(at)} and is refused since then`,
        MadeRoom: `was replaced, had to make room for those that were replaced after it on ${utc(at)}, and is refused since then`,
        Expired: `expired on ${utc(at)} and is refused since then`,
        Revoked: `was revoked on ${utc(at)} and is refused since then`,
        Replaced: `was replaced on ${utc(at)}, because its object names another one, and is refused since then`,
        Deleted: `was deleted with its object on ${utc(at)} and is refused since then`,
        AppDeleted: `belonged to an app that was deleted and registered anew, was ended on ${utc(at)} and is refused since then`,
      }[why];
      return {
        subject: `${object}: a ${noun} that was in use is refused since ${utc(at)}`,
        paragraphs: [
          `${it} ${how}. It was in use: ${used(use)}.`,
          `Whoever used it cannot send or receive anything until they have another one.${REPLACED.has(why) ? handedOut(occasion, ' The one to use is') : ''}`,
        ],
        actions: [...revive(occasion), ...(why === 'Deleted' ? [] : [look(occasion)])],
      };
    }
  }
}

/** cert-manager makes it and the ones after it; others come from elsewhere, and nobody hands them out. */
function isIssued({ kind, secretName }: Occasion): boolean {
  return kind === 'ClientCertificate' && secretName !== null;
}

function handedOut({ secretName }: Occasion, text: string): string {
  return secretName === null ? '' : `${text} in Secret ${secretName}.`;
}

function look(occasion: Occasion): Action {
  return { text: 'To see how things stand:', command: `kubectl describe ${resource(occasion)}` };
}

function restart({ namespace, secretName }: Occasion): Action[] {
  if (secretName === null) return [];
  return [
    {
      text: `Applications that read Secret ${secretName} only when they start need a restart before then, for example a Deployment (its name in place of NAME):`,
      command: `kubectl rollout restart deployment/NAME -n ${namespace}`,
    },
  ];
}

function prolong(occasion: Occasion, at: number): Action[] {
  switch (occasion.kind) {
    case 'RelayToken':
      return [
        {
          text: 'To let it live longer, set a later time where its manifest is kept, or with:',
          command: patch(occasion, { expiresAt: new Date(at + LIFE_MS).toISOString().replace('.000Z', 'Z') }),
        },
      ];
    case 'ClientCertificate':
      if (isIssued(occasion))
        return [
          {
            text: 'What is in the way of the next one, in the words of cert-manager:',
            command: `kubectl describe certificate.cert-manager.io ${occasion.name} -n ${occasion.namespace}`,
          },
        ];
      return [
        {
          text: 'Register the certificate that takes its place where the manifest is kept, or with:',
          command: `kubectl edit ${resource(occasion)}`,
        },
      ];
    case 'RelayApp':
      return [];
  }
}

function revive(occasion: Extract<Occasion, { what: 'DiedInUse' }>): Action[] {
  const { kind, namespace, name, why, at } = occasion;
  switch (why) {
    case 'Deadline':
    case 'MadeRoom':
    case 'AppDeleted':
      return restart(occasion).map(({ command }) => ({
        text: `Applications that still have the old one need a restart, for example a Deployment (its name in place of NAME):`,
        command,
      }));
    case 'Replaced':
      return [
        {
          text: 'If this was meant, there is nothing to do. For the former one to work again, name it where the manifest is kept, or with:',
          command: `kubectl edit ${resource(occasion)}`,
        },
      ];
    case 'Expired':
      return prolong(occasion, at);
    case 'Revoked':
      if (kind === 'RelayApp') return [];
      return [
        {
          text: 'If this was meant, there is nothing to do. For one that works again:',
          command: patch(occasion, { revoked: false }),
        },
      ];
    case 'Deleted':
      return [
        {
          text: `If this was meant, there is nothing to do. Otherwise apply the manifest again, and see whether it is there:`,
          command: `kubectl get ${kind.toLowerCase()} ${name} -n ${namespace}`,
        },
      ];
  }
}

function patch(occasion: Occasion, spec: object): string {
  return `kubectl patch ${resource(occasion)} --type merge -p '${JSON.stringify({ spec })}'`;
}

/** Names of Kubernetes are safe in a shell: lower-case letters, digits, `-` and `.`. */
function resource({ kind, namespace, name }: Occasion): string {
  return `${kind.toLowerCase()} ${name} -n ${namespace}`;
}

function used({
  requests,
  lastUsedAt,
  client,
}: {
  requests: number;
  lastUsedAt: number;
  client: string | null;
}): string {
  const by = client === null ? '' : `, by ${harmless(client)}`;
  return `${requests} ${requests === 1 ? 'request' : 'requests'} so far, the last on ${utc(lastUsedAt)}${by}`;
}

/** Clients name themselves, and whoever has a credential is a client: what they say must be no link, no markup and no line of its own. */
function harmless(client: string): string {
  return `"${client.replaceAll(/[^A-Za-z0-9 ._+-]/g, '?').slice(0, 60)}"`;
}

function utc(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
