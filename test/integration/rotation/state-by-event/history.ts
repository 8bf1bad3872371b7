import { ROTATE_ANNOTATION } from '#crds/api-group.ts';
import { DAY, type Installation } from './installation.ts';
import type { History } from './states.ts';

/** Lets what every row of the table begins with happen, once. */
export async function live(installation: Installation): Promise<History> {
  const { subject } = installation;
  for (const id of ['relay-0', 'relay-1']) installation.join(id);
  await installation.declareApp();
  await installation.settle();
  const before = await installation.moment();
  const presentSince = installation.now;
  await installation.declare(subject.spec);
  await installation.settle();
  const first = await installation.moment();
  if (subject.secret === undefined) return { before, first, base: first, replacedAt: presentSince, presentSince };
  installation.now += DAY;
  const replacedAt = installation.now;
  await installation.declare(subject.spec, { [ROTATE_ANNOTATION]: 'by the history' });
  await installation.settle();
  installation.now += DAY;
  return { before, first, base: await installation.moment(), replacedAt, presentSince: replacedAt };
}
