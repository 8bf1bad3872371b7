import { z } from 'zod';

/** The part of a Kubernetes object's metadata that reconcilers and the standalone folder use. Times are RFC 3339 strings. */
export type ObjectMeta = {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly generation: number;
  readonly resourceVersion?: string;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly finalizers?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
};

export type Resource<Kind extends string, Spec, Status> = {
  readonly apiVersion: string;
  readonly kind: Kind;
  readonly metadata: ObjectMeta;
  readonly spec: Spec;
  readonly status?: Status;
};

export const conditionStatus = z.enum(['True', 'False', 'Unknown']);

/** `metav1.Condition`, as every Kubernetes tool expects it (k8s.io/apimachinery, meta/v1 types.go). */
export const condition = z.strictObject({
  type: z.string().max(316),
  status: conditionStatus,
  observedGeneration: z.int().min(0).optional(),
  lastTransitionTime: z.string().meta({ format: 'date-time' }),
  reason: z.string().min(1).max(1024),
  message: z.string().max(32768),
});

export type Condition = Readonly<z.infer<typeof condition>>;

export const conditions = z
  .array(condition)
  .max(16)
  .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] });

/** A DNS-1123 subdomain: what Kubernetes accepts as an object's name (k8s.io/apimachinery, util/validation). */
export const objectName = z
  .string()
  .min(1)
  .max(253)
  .regex(
    /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
    'must be a lowercase DNS name, such as checkout-relay',
  );
