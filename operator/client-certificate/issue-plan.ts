import { isDeepStrictEqual } from 'node:util';
import type { DefaultedIssue } from '#crds/client-certificate.ts';
import { REASON } from '#crds/conditions.ts';
import { renewed } from './announcements.ts';
import type { Presented } from './presented.ts';
import { live } from './rows.ts';
import type { CertificateSnapshot } from './snapshot.ts';
import { blockedPlan, settledPlan, waitingPlan } from './status.ts';
import type { CertificatePlan, CertificateStep } from './step.ts';

const DONE = { kind: 'done' } as const;

/** An issuer usually answers within seconds: so long nothing is written that says only "not yet". */
const PATIENCE_MS = 10_000;

/** `spec.issue`: a Certificate that cert-manager keeps, and what comes of it registered once it is really there. */
export function planIssue(snapshot: CertificateSnapshot, issue: DefaultedIssue, appId: string): CertificatePlan {
  const { object, issuance, presented, now } = snapshot;
  const { namespace, name, uid } = object.metadata;
  const { certManager, certificate, secret } = issuance;
  if (certManager.kind === 'missing') return waitingPlan(snapshot, REASON.CertManagerNotInstalled, certManager.message);
  if (certManager.kind === 'starting') return { steps: [], outcome: { kind: 'requeueAfter', ms: 2_000 } };
  if (!issuance.allowed) {
    const { kind, group, name: issuer } = issue.issuerRef;
    const named = group === 'cert-manager.io' ? `${kind}/${issuer}` : `${kind}.${group}/${issuer}`;
    const message = `spec.issue.issuerRef: this installation does not allow ${named}; whoever runs it can add it to the setting ALLOWED_ISSUERS`;
    return blockedPlan(snapshot, REASON.IssuerNotAllowed, message);
  }
  if (certificate !== undefined && certificate.ownerUid !== uid)
    return blockedPlan(
      snapshot,
      REASON.Conflict,
      `Certificate ${name} exists and is not of this ClientCertificate: rename one of the two`,
    );
  if (secret.kind === 'foreign')
    return blockedPlan(
      snapshot,
      REASON.Conflict,
      `Secret ${issue.secretName} exists and cert-manager did not write it for Certificate ${name}: delete it, or choose another spec.issue.secretName`,
    );
  if (certificate === undefined || !isDeepStrictEqual(certificate.issue, issue))
    return step({ do: 'ApplyCertificate', certificate: { namespace, name, ownerUid: uid, issue } });

  if (secret.kind === 'ours' && presented !== undefined && !('reason' in presented)) {
    // Whatever brought it back, a certificate that ended here never works again: cert-manager issues another one.
    if (isDead(snapshot, presented, appId))
      return step({ do: 'DeleteIssuedSecret', secret: { namespace, name: issue.secretName, uid: secret.uid } });
    if (certificate.ready && presented.notAfter === certificate.notAfter) return planIssued(snapshot, presented, appId);
  }
  if (certificate.ready && presented !== undefined && 'reason' in presented)
    return blockedPlan(snapshot, presented.reason, presented.message);
  const { trouble } = certificate;
  const waited = now - certificate.createdAt;
  if (trouble?.failed !== true && waited < PATIENCE_MS)
    return { steps: [], outcome: { kind: 'requeueAfter', ms: PATIENCE_MS - waited } };
  const says = trouble === null ? 'no word of it yet' : trouble.message;
  return trouble?.failed === true
    ? blockedPlan(snapshot, REASON.IssuanceFailed, `cert-manager says of Certificate ${name}: ${says}`)
    : waitingPlan(snapshot, REASON.Issuing, `cert-manager says of Certificate ${name}: ${says}`);
}

function planIssued(snapshot: CertificateSnapshot, { sha256, notAfter }: Presented, appId: string): CertificatePlan {
  const { rows, holder, issuance } = snapshot;
  const current = rows.find((row) => row.state === 'Active' && row.sha256 === sha256);
  if (current === undefined) {
    if (holder !== undefined)
      return blockedPlan(
        snapshot,
        REASON.Conflict,
        `ClientCertificate ${holder.name} has this certificate for the same app: delete that one`,
      );
    // Both work until the old one ends by itself: who holds it rereads the Secret in its own time.
    const former = live(rows).filter((row) => row.sha256 !== sha256);
    const announce = renewed(snapshot, former);
    const retire = former.map((row) => row.sha256);
    const told = announce.length === 0 ? {} : { announce };
    return step({ do: 'RegisterCertificate', register: { appId, sha256, notAfter, retire, end: [], ...told } });
  }
  const [stray] = issuance.strays;
  if (stray !== undefined) return step({ do: 'DeleteIssuedSecret', secret: stray });
  return settledPlan(snapshot, current);
}

function isDead({ rows }: CertificateSnapshot, { sha256 }: Presented, appId: string): boolean {
  return rows.some(
    (row) => row.appId === appId && row.sha256 === sha256 && (row.state === 'Revoked' || row.state === 'Ended'),
  );
}

/** What `issue` has left behind where it is not wanted any more: the Certificate first, or cert-manager would write its Secret anew. */
export function issuedLeftover({ object, issuance }: CertificateSnapshot): CertificateStep | undefined {
  const { certificate, strays } = issuance;
  if (certificate !== undefined && certificate.ownerUid === object.metadata.uid) {
    const { namespace, name, uid } = certificate;
    return { do: 'DeleteCertificate', certificate: { namespace, name, uid } };
  }
  const [stray] = strays;
  return stray === undefined ? undefined : { do: 'DeleteIssuedSecret', secret: stray };
}

function step(only: CertificateStep): CertificatePlan {
  return { steps: [only], outcome: DONE };
}
