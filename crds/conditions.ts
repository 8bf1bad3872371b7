/** Every condition type and reason that a user can meet. A closed list: documentation and alerts rely on it. */
export const CONDITION = {
  Ready: 'Ready',
  Enforced: 'Enforced',
  CredentialsReady: 'CredentialsReady',
  /** Only while there is something to be warned of; reason: the sorted reasons, with commas between. */
  Warning: 'Warning',
  Reconciling: 'Reconciling',
  Stalled: 'Stalled',
} as const;

export const REASON = {
  // Ready, CredentialsReady
  Reconciled: 'Reconciled',
  Issued: 'Issued',
  Disabled: 'Disabled',
  Revoked: 'Revoked',
  Expired: 'Expired',
  NotYetValid: 'NotYetValid',
  // Waiting
  AppNotFound: 'AppNotFound',
  AppNotReady: 'AppNotReady',
  CertManagerNotInstalled: 'CertManagerNotInstalled',
  Issuing: 'Issuing',
  DatabaseUnavailable: 'DatabaseUnavailable',
  // Terminal: a person must change something
  Conflict: 'Conflict',
  AppIdNotRetained: 'AppIdNotRetained',
  AppIdDiffers: 'AppIdDiffers',
  CertificateUnreadable: 'CertificateUnreadable',
  CertificateChain: 'CertificateChain',
  CertificateAuthority: 'CertificateAuthority',
  PrivateKeyInside: 'PrivateKeyInside',
  SecretKeyNotFound: 'SecretKeyNotFound',
  IssuerNotAllowed: 'IssuerNotAllowed',
  IssuanceFailed: 'IssuanceFailed',
  // Warning
  FullAccess: 'FullAccess',
  SecretNotFound: 'SecretNotFound',
  SecretNotReferable: 'SecretNotReferable',
  HeadersInvalid: 'HeadersInvalid',
  UrlInvalid: 'UrlInvalid',
  ImportInvalid: 'ImportInvalid',
  CredentialsUnusual: 'CredentialsUnusual',
  OldCredentialInUse: 'OldCredentialInUse',
  GeoIpDatabaseMissing: 'GeoIpDatabaseMissing',
  MailNotConfigured: 'MailNotConfigured',
  RenewalFailed: 'RenewalFailed',
  // Enforced (directory.md)
  Publishing: 'Publishing',
  Rejected: 'Rejected',
  NoReplicas: 'NoReplicas',
  AllReplicas: 'AllReplicas',
  ReplicaUnreachable: 'ReplicaUnreachable',
  Propagating: 'Propagating',
} as const;

export type Reason = (typeof REASON)[keyof typeof REASON];
