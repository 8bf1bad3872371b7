import {
  constructFromEvents,
  CORE_SCHEMA,
  EVENT_ID,
  getScalarValue,
  mergeTag,
  parseEvents,
  YAMLException,
} from 'js-yaml';

type Events = ReturnType<typeof parseEvents>;
type Path = readonly (string | number)[];

/** A YAML document that is not empty. */
export type YamlDocument = {
  readonly value: unknown;
  /** The line (from 1) of the field; of the nearest field around it when it is not there. */
  lineOf(path: Path): number;
};

export type YamlFile =
  | { readonly ok: true; readonly documents: readonly YamlDocument[] }
  | { readonly ok: false; readonly line: number; readonly message: string };

const SCHEMA = CORE_SCHEMA.withTags(mergeTag);
/** Against the "billion laughs": more than any manifest needs. */
const MAX_ALIASES = 100;

/** Parses a file of one or more YAML documents. Never throws. */
export function parseYaml(source: string): YamlFile {
  try {
    const events = parseEvents(source, {});
    const values = constructFromEvents(events, { source, schema: SCHEMA, maxAliases: MAX_ALIASES });
    const documents = splitDocuments(events).map((own, index) => ({
      value: values[index],
      lineOf: (path: Path) => lineAt(source, locate(source, own, path)),
    }));
    return { ok: true, documents: documents.filter(({ value }) => value !== null && value !== undefined) };
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    return { ok: false, line: (error.mark?.line ?? 0) + 1, message: `not valid YAML: ${error.reason}` };
  }
}

function splitDocuments(events: Events): Events[] {
  const documents: Events[] = [];
  for (const event of events) {
    if (event.type === EVENT_ID.DOCUMENT) documents.push([]);
    else documents.at(-1)?.push(event);
  }
  return documents;
}

function lineAt(source: string, position: number): number {
  return source.slice(0, position).split(/\r\n|\r|\n/).length;
}

/** The offset of the key (or list item) at the end of `path`, or of the deepest one on the way there that exists. */
function locate(source: string, events: Events, path: Path): number {
  let cursor = 0;
  let found = startOf(events, 0);
  for (const part of path) {
    const container = events[cursor];
    const child =
      container?.type === EVENT_ID.MAPPING
        ? mappingValue(source, events, cursor, String(part))
        : container?.type === EVENT_ID.SEQUENCE && typeof part === 'number'
          ? sequenceItem(events, cursor, part)
          : undefined;
    if (child === undefined) return found;
    found = child.at;
    cursor = child.cursor;
  }
  return found;
}

type Child = { readonly at: number; readonly cursor: number };

function mappingValue(source: string, events: Events, mapping: number, name: string): Child | undefined {
  let cursor = mapping + 1;
  for (;;) {
    const key = events[cursor];
    if (key === undefined || key.type === EVENT_ID.POP) return undefined;
    const value = skip(events, cursor);
    if (key.type === EVENT_ID.SCALAR && getScalarValue(source, key) === name)
      return { at: startOf(events, cursor), cursor: value };
    cursor = skip(events, value);
  }
}

function sequenceItem(events: Events, sequence: number, index: number): Child | undefined {
  let cursor = sequence + 1;
  for (let seen = 0; ; seen += 1) {
    const item = events[cursor];
    if (item === undefined || item.type === EVENT_ID.POP) return undefined;
    if (seen === index) return { at: startOf(events, cursor), cursor };
    cursor = skip(events, cursor);
  }
}

/** The index of what follows the node at `cursor`. */
function skip(events: Events, cursor: number): number {
  let depth = 0;
  for (let index = cursor; index < events.length; index += 1) {
    const type = events[index]?.type;
    if (type === EVENT_ID.MAPPING || type === EVENT_ID.SEQUENCE) depth += 1;
    if (type === EVENT_ID.POP) depth -= 1;
    if (depth <= 0) return index + 1;
  }
  return events.length;
}

function startOf(events: Events, cursor: number): number {
  const event = events[cursor];
  switch (event?.type) {
    case EVENT_ID.MAPPING:
    case EVENT_ID.SEQUENCE:
      return Math.max(event.start, 0);
    case EVENT_ID.SCALAR:
      return Math.max(event.valueStart, 0);
    case EVENT_ID.ALIAS:
      return Math.max(event.anchorStart, 0);
    case EVENT_ID.DOCUMENT:
    case EVENT_ID.POP:
    case undefined:
      return 0;
  }
}
