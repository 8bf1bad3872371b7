import type { EventSink, RecordedEvent } from '../engine/events.ts';
import { microTime } from '../engine/lease-lock.ts';
import type { KubernetesClient } from './client.ts';
import { EVENTS } from './resource-type.ts';

/** Limits of k8s.io/kubernetes pkg/apis/core/validation/events.go, in bytes of UTF-8. */
const MAX_NOTE = 1024;
const MAX_INSTANCE = 128;

/**
 * Events as `events.k8s.io/v1`: it has a series (one write says how often and when last), which core/v1 has only in fields that are
 * deprecated; both are one object in storage, so `kubectl describe` and `kubectl get events` show it all the same. An
 * event and the growth of its series are the same server-side apply.
 */
export function eventSink(
  client: KubernetesClient,
  {
    controller,
    instance,
  }: { /** `example.dev/operator` */ readonly controller: string; /** The pod. */ readonly instance: string },
): EventSink {
  return {
    async write(event, signal) {
      await client.apply(EVENTS, manifest(event, controller, instance), { signal });
    },
  };
}

function manifest(event: RecordedEvent, controller: string, instance: string) {
  const { subject, name, type, reason, action, note, firstAt, lastAt, count } = event;
  const { apiVersion, kind, metadata } = subject;
  return {
    metadata: { namespace: metadata.namespace, name },
    eventTime: microTime(firstAt),
    reportingController: controller,
    reportingInstance: shortened(instance, MAX_INSTANCE),
    type,
    reason,
    action,
    note: shortened(note, MAX_NOTE),
    regarding: { apiVersion, kind, namespace: metadata.namespace, name: metadata.name, uid: metadata.uid },
    ...(count > 1 ? { series: { count, lastObservedTime: microTime(lastAt) } } : {}),
  };
}

/** At most `bytes` of UTF-8, never half a character. */
function shortened(text: string, bytes: number): string {
  if (Buffer.byteLength(text) <= bytes) return text;
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(bytes - Buffer.byteLength('…')));
  return `${text.slice(0, read)}…`;
}
