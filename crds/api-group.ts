/** Names that users see in manifests and on Secrets. They are the product's interface (docs/reference.md) and never change. */
export const GROUP = 'relay-operator.dev';
export const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}`;
export const CATEGORY = 'relay';

/** Secret types (`type:` of a Kubernetes Secret is immutable, so an object of another type can never be taken over by an apply). */
export const APP_SECRET_TYPE = `${GROUP}/app`;
export const TOKEN_SECRET_TYPE = `${GROUP}/token`;

/** Set on every Secret that the operator writes. It watches those that carry this label or the next, and no others. */
export const MANAGED_LABEL = `${GROUP}/managed`;

/**
 * Put by whoever may read a Secret on one that objects may reference (`headersFrom`): otherwise an author who cannot read Secrets could have
 * them sent somewhere. Its value is "true".
 */
export const REFERABLE_LABEL = `${GROUP}/referable`;

/** On our Secrets: which labels, annotations and keys we put there (operator/reconcile/secret-state.ts). */
export const SHAPE_ANNOTATION = `${GROUP}/shape`;

/**
 * A command, by annotation, because it is no part of what is declared: any value that was not there before rotates the credentials now, once.
 */
export const ROTATE_ANNOTATION = `${GROUP}/rotate`;

/** Held on every object from before its first external write until its credentials are revoked. */
export const FINALIZER = `${GROUP}/registry`;

/** The one field manager of every server-side apply. */
export const FIELD_MANAGER = 'relay-operator';
