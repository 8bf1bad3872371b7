import type pg from 'pg';
import { certificateEntryKey, type EntryChange } from '#crds/directory/entry-body.ts';
import { TransientError } from '../engine/errors.ts';
import type { Announcements } from '../notifications/announcement.ts';
import type { CertificateHolder, CertificateRegistry, CertificateRow } from '../registry/certificate-registry.ts';
import type { Subject } from '../registry/subject.ts';
import { announceIn } from './announcements.ts';
import type { RegistryOptions } from './app-change.ts';
import { asTransient } from './backend-error.ts';

type StoredRow = {
  app_id: string;
  sha256: string;
  object_uid: string;
  state: CertificateRow['state'];
  not_after: Date | null;
  revision: number;
  changed_at: Date;
};

/** No longer in the directory. */
const OVER = `state IN ('Revoked', 'Ended')`;
/** A certificate that is over cannot come back: its row is of no use. A day for clocks that differ. */
const FORGET_AFTER_MS = 86_400_000;

/** The client certificates of the registry in PostgreSQL; see the port for what each method promises. */
export function createCertificateRegistry(options: RegistryOptions): CertificateRegistry {
  const { pool, commit, rings, now } = options;
  const { installation } = rings;
  /** Only rows of this identity, whatever the caller passes: no object can end another one's certificates. */
  const identity = 'installation = $1 AND namespace = $2 AND name = $3';
  const valuesOf = ({ namespace, name }: Pick<Subject, 'namespace' | 'name'>): readonly string[] => [
    installation,
    namespace,
    name,
  ];

  /** One change of certificates of one object: rows, entries and audit in one transaction, the published rows stamped with the revision. */
  async function change(
    subject: Subject,
    action: string,
    work: (
      tx: pg.PoolClient,
    ) => Promise<{ published: readonly CertificateRow[]; detail: Readonly<Record<string, unknown>> }>,
  ): Promise<void> {
    await asTransient(() =>
      commit.commit(async (tx) => {
        const { published, detail } = await work(tx);
        return {
          result: undefined,
          changes: published.map((row) => entry(subject, row)),
          audit: [
            {
              actor: 'operator',
              action,
              object: `ClientCertificate ${subject.namespace}/${subject.name}`,
              detail: { uid: subject.uid, ...detail },
            },
          ],
          stamp: async (stamping, revision) => {
            await stamping.query(
              `UPDATE certificate SET revision = $4 WHERE ${identity}
                  AND (app_id, sha256) IN (SELECT * FROM unnest($5::text[], $6::text[]))`,
              [...valuesOf(subject), revision, published.map((row) => row.appId), published.map((row) => row.sha256)],
            );
          },
        };
      }),
    );
  }

  return {
    findCertificates: (ref) =>
      asTransient(async () => {
        const { rows } = await pool.query<StoredRow>(
          `SELECT * FROM certificate WHERE ${identity}
            ORDER BY ${OVER}, CASE WHEN ${OVER} THEN revision END DESC, created_at DESC, sha256 LIMIT 1000`,
          [...valuesOf(ref)],
        );
        return rows.map(readRow);
      }),

    findCertificateHolder: (appId, sha256) =>
      asTransient(async () => {
        const { rows } = await pool.query<CertificateHolder>(
          `SELECT namespace, name, state FROM certificate WHERE app_id = $1 AND sha256 = $2 AND state <> 'Ended'`,
          [appId, sha256],
        );
        return rows[0];
      }),

    registerCertificate: (subject, { appId, sha256, notAfter, retire, end, announce }) =>
      change(subject, 'certificate.register', async (tx) => {
        const at = new Date(now());
        await tx.query(`DELETE FROM certificate WHERE ${identity} AND ${OVER} AND not_after < $4 AND sha256 <> $5`, [
          ...valuesOf(subject),
          new Date(now() - FORGET_AFTER_MS),
          sha256,
        ]);
        const { rows: retired } = await tx.query<StoredRow>(
          `UPDATE certificate SET state = 'Retiring', changed_at = $5
            WHERE ${identity} AND sha256 = ANY($4) AND state = 'Active' RETURNING *`,
          [...valuesOf(subject), retire, at],
        );
        const { rows: ended } = await tx.query<StoredRow>(
          `UPDATE certificate SET state = 'Ended', object_uid = $6, changed_at = $5
            WHERE ${identity} AND sha256 = ANY($4) AND state IN ('Active', 'Retiring') RETURNING *`,
          [...valuesOf(subject), end, at, subject.uid],
        );
        const { rows } = await tx.query<StoredRow>(
          `INSERT INTO certificate (app_id, sha256, installation, namespace, name, object_uid, state, not_after, changed_at, created_at)
           SELECT app_id, $5, installation, namespace, $3, $6, 'Active', $7, $8, $8 FROM app
            WHERE app_id = $4 AND installation = $1 AND namespace = $2 AND state = 'Active'
           ON CONFLICT (app_id, sha256, name) DO UPDATE
              SET state = 'Active', object_uid = excluded.object_uid, not_after = excluded.not_after, changed_at = excluded.changed_at
           RETURNING *`,
          [...valuesOf(subject), appId, sha256, subject.uid, notAfter === null ? null : new Date(notAfter), at],
        );
        // Retired since it was looked at, or never of this namespace.
        if (rows.length === 0)
          throw new TransientError('AppNotRegistered', `app ${appId} is not registered in ${subject.namespace}`, {
            quiet: true,
          });
        await announceIn(tx, options, concerning([...retired, ...ended], announce));
        return {
          published: [...ended, ...rows].map(readRow),
          detail: { appId, sha256, notAfter, retired: retire, ended: ended.map((row) => row.sha256) },
        };
      }),

    endCertificates: (subject, ending, state, reason, announce) =>
      change(subject, 'certificate.end', async (tx) => {
        const values = [
          ...valuesOf(subject),
          ending.map((row) => row.appId),
          ending.map((row) => row.sha256),
          state,
          subject.uid,
        ];
        const these = `${identity} AND (app_id, sha256) IN (SELECT * FROM unnest($4::text[], $5::text[]))`;
        // Out of the directory already: only whose they are changes.
        const released = await tx.query<StoredRow>(
          `UPDATE certificate SET state = $6, object_uid = $7 WHERE ${these} AND state = 'Revoked' AND $6 = 'Ended' RETURNING *`,
          values,
        );
        const ended = await tx.query<StoredRow>(
          `UPDATE certificate SET state = $6, object_uid = $7, changed_at = $8
            WHERE ${these} AND state IN ('Active', 'Retiring') RETURNING *`,
          [...values, new Date(now())],
        );
        await announceIn(tx, options, concerning(ended.rows, announce));
        const certificates = [...released.rows, ...ended.rows].map((row) => row.sha256);
        return { published: ended.rows.map(readRow), detail: { certificates, state, reason } };
      }),
  };
}

/** Only of certificates that went with this change. */
function concerning(rows: readonly StoredRow[], announce: Announcements = []): Announcements {
  return announce.filter(({ occasion }) => rows.some(({ sha256 }) => sha256 === occasion.credentialId));
}

function readRow(row: StoredRow): CertificateRow {
  return {
    appId: row.app_id,
    sha256: row.sha256,
    objectUid: row.object_uid,
    state: row.state,
    notAfter: row.not_after?.getTime() ?? null,
    revision: row.revision,
    changedAt: row.changed_at.getTime(),
  };
}

function entry({ namespace, name }: Subject, { appId, sha256, state, notAfter }: CertificateRow): EntryChange {
  const live = state === 'Active' || state === 'Retiring';
  return { key: certificateEntryKey(appId, sha256), body: live ? { appId, namespace, name, notAfter } : null };
}
