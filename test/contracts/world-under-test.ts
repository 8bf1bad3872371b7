import { APP_SECRET_TYPE, MANAGED_LABEL } from '#crds/api-group.ts';
import type { RelayApp } from '#crds/relay-app.ts';
import { TransientError } from '#operator/engine/errors.ts';
import type { ObjectRef } from '#operator/world/object-ref.ts';
import type { DesiredSecret } from '#operator/world/secrets.ts';
import type { Change, World } from '#operator/world/world.ts';
import { eventually } from '#test/parts/eventually.ts';

/** A world that is empty, and the hands of the people who use it. */
export type WorldUnderTest = AsyncDisposable & {
  readonly world: World;
  /** A namespace that nothing else uses. */
  readonly namespace: string;
  /** Creates or changes the object, as a person does with a manifest. */
  declare(kind: Change['kind'], name: string, spec: object): Promise<void>;
  /** Asks for the deletion of the object; finalizers are honoured. */
  withdraw(kind: Change['kind'], name: string): Promise<void>;
  /** Writes a Secret that carries none of our labels and has no owner. */
  writeSecret(name: string, data: Readonly<Record<string, string>>): Promise<void>;
  /** Creates or changes a Secret for objects to refer to, as a person does with a manifest; `referable`: with the label for that. */
  declareSecret(name: string, data: Readonly<Record<string, string>>, referable: boolean): Promise<void>;
  withdrawSecret(name: string): Promise<void>;
  /** Changes one value of a Secret that we wrote. */
  editSecret(name: string, key: string, value: string): Promise<void>;
  deleteSecret(name: string): Promise<void>;
};

/** Declared, and seen by the world. */
export const app = async (under: WorldUnderTest, name = 'shop', spec: object = {}): Promise<RelayApp> => {
  await under.declare('RelayApp', name, spec);
  return eventually(() => under.world.apps.get({ namespace: under.namespace, name }));
};
export const refOf = ({ metadata: { namespace, name } }: RelayApp): ObjectRef => ({ namespace, name });
export const again = (under: WorldUnderTest, object: RelayApp): RelayApp | undefined =>
  under.world.apps.get(refOf(object));
export const secretOf = (object: RelayApp, data: DesiredSecret['data'] = { KEY: 'value' }): DesiredSecret => ({
  namespace: object.metadata.namespace,
  name: `${object.metadata.name}-relay`,
  type: APP_SECRET_TYPE,
  labels: { [MANAGED_LABEL]: 'true' },
  annotations: { note: 'ours' },
  owner: { kind: 'RelayApp', name: object.metadata.name, uid: object.metadata.uid },
  data,
});
export const conflict = (error: unknown): boolean => error instanceof TransientError && error.quiet;
