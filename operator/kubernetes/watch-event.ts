import { z } from 'zod';
import { MalformedStreamError } from '../engine/errors.ts';
import type { WatchEvent } from '../engine/lister-watcher.ts';
import type { EngineObject } from '../engine/object.ts';
import { errorOf } from './kubernetes-error.ts';

const object = z.looseObject({
  metadata: z.looseObject({
    name: z.string().min(1),
    namespace: z.string().optional(),
    uid: z.string().min(1),
    resourceVersion: z.string().min(1),
  }),
});

const event = z.discriminatedUnion('type', [
  z.object({ type: z.enum(['ADDED', 'MODIFIED', 'DELETED']), object }),
  z.object({
    type: z.literal('BOOKMARK'),
    object: z.object({ metadata: z.object({ resourceVersion: z.string().min(1) }) }),
  }),
  z.object({ type: z.literal('ERROR'), object: z.unknown() }),
]);

const errorCode = z.object({ code: z.number() });

/**
 * One line of a watch (metav1.WatchEvent). What the engine relies on is checked here; the rest of the object is as the API server's
 * schema promises. Throws MalformedStreamError, and for an ERROR event the error that it stands for.
 */
export function parseWatchEvent<T extends EngineObject>(line: string): WatchEvent<T> {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch (cause) {
    throw new MalformedStreamError('a line of the watch is no JSON', { cause });
  }
  const parsed = event.safeParse(json);
  if (!parsed.success) {
    throw new MalformedStreamError(`a line of the watch is no watch event: ${z.prettifyError(parsed.error)}`);
  }
  const { data } = parsed;
  switch (data.type) {
    case 'BOOKMARK':
      return { type: 'BOOKMARK', resourceVersion: data.object.metadata.resourceVersion };
    case 'ERROR': {
      const code = errorCode.safeParse(data.object);
      throw errorOf(code.success ? code.data.code : 500, data.object, undefined);
    }
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED': {
      const object: unknown = data.object;
      return { type: data.type, object: object as T };
    }
  }
}
