import type { DetectorName, ScanMode, ScanRules } from '#crds/secret-scanning.ts';
import type { Detector, Span } from './detector.ts';
import { detectors } from './detectors.ts';
import { mayHaveStretch } from './digit-stretches.ts';
import { jsonTokens, literalPositions, type JsonToken } from './json-tokens.ts';

/** What one detector found in a text. Never holds it. */
export type Finding = {
  readonly detector: DetectorName;
  readonly mode: Exclude<ScanMode, 'Off'>;
  /**
   * The first of them: a JSON pointer (RFC 6901), through JSON inside of strings too; empty: the text itself. What a key says is shown only
   * if it is harmless.
   */
  readonly place: string;
  /** How many it found. */
  readonly count: number;
};

export type Scanned =
  | { readonly verdict: 'clean' }
  /** `text` is what may be delivered: as it was, or with what is to be redacted replaced. */
  | { readonly verdict: 'found'; readonly text: string; readonly findings: readonly Finding[] }
  | { readonly verdict: 'rejected'; readonly findings: readonly Finding[] };

const CLEAN: Scanned = Object.freeze({ verdict: 'clean' });
const REDACTED = '[REDACTED]';
/** JSON in a string in JSON … Each level at least doubles the backslashes, so deeper ones are not something that an application sends. */
const MAX_DEPTH = 6;
/** Of a place, so that telling it costs no more than finding it. */
const MAX_PATH = 32;

/**
 * Looks for secrets in an event's data. Linear in the text. Text that is JSON is looked at string by string, decoded, and JSON inside of
 * strings again; only what was found is replaced, so the rest stays byte for byte, and what was JSON still is.
 */
export function scan(text: string, rules: ScanRules): Scanned {
  const suspects = suspectsOf(text, rules);
  if (suspects.length === 0) return CLEAN;
  const matches = matchesIn(text, 0, suspects).toSorted((a, b) => a.start - b.start || b.end - a.end);
  if (matches.length === 0) return CLEAN;
  const findings = findingsOf(matches, rules);
  if (findings.some(({ mode }) => mode === 'Reject')) return { verdict: 'rejected', findings };
  return { verdict: 'found', text: redacted(text, matches, rules), findings };
}

/** Almost every event ends here: none. An escape may hide an anchor, so in text with `\\u` all are. */
function suspectsOf(text: string, rules: ScanRules): readonly Detector[] {
  const active = detectors.filter(({ name }) => rules[name] !== undefined);
  if (text.includes('\\u')) return active;
  let digits: boolean | undefined;
  return active.filter(({ ofDigits, mayOccur }) => {
    if (ofDigits === true && !(digits ??= mayHaveStretch(text))) return false;
    return mayOccur(text);
  });
}

/** One for each detector, in the order in which they first found something. */
function findingsOf(matches: readonly Match[], rules: ScanRules): Finding[] {
  const found = new Map<DetectorName, Finding>();
  for (const { detector, path } of matches) {
    const known = found.get(detector);
    const mode = rules[detector] ?? 'Warn';
    found.set(
      detector,
      known === undefined ? { detector, mode, place: placeOf(path), count: 1 } : { ...known, count: known.count + 1 },
    );
  }
  return [...found.values()];
}

type Match = Span & {
  readonly detector: DetectorName;
  readonly path: readonly (string | number)[];
  /** How often the text around it is escaped; undefined: it is no part of a string but a bare number, which needs quotes. */
  readonly bareAt: number | undefined;
};

function matchesIn(text: string, depth: number, active: readonly Detector[]): Match[] {
  if (depth >= MAX_DEPTH || !isJson(text, depth)) return plainMatches(text, active);
  const found: Match[] = [];
  for (const token of jsonTokens(text)) {
    for (const match of tokenMatches(text, token, depth, active)) found.push(match);
  }
  return found;
}

function plainMatches(text: string, active: readonly Detector[]): Match[] {
  const found: Match[] = [];
  for (const { name, mayOccur, find } of active) {
    if (!mayOccur(text)) continue;
    for (const span of find(text)) found.push({ ...span, detector: name, path: [], bareAt: undefined });
  }
  return found;
}

function tokenMatches(text: string, token: JsonToken, depth: number, active: readonly Detector[]): Match[] {
  const { kind, start, end } = token;
  const literal = text.slice(start, end);
  if (kind === 'number') {
    const [first] = plainMatches(literal, active);
    return first === undefined ? [] : [{ detector: first.detector, start, end, path: pathOf(token), bareAt: depth }];
  }
  const escaped = literal.includes('\\');
  const inner = matchesIn(escaped ? decoded(literal) : literal, depth + 1, active);
  if (inner.length === 0) return [];
  const path = pathOf(token);
  const raw = escaped ? rawPositions(literal, inner) : undefined;
  return inner.map((match) => ({
    ...match,
    start: start + (raw?.get(match.start) ?? match.start),
    end: start + (raw?.get(match.end) ?? match.end),
    path: [...path, ...match.path].slice(0, MAX_PATH),
  }));
}

function pathOf({ kind, path }: JsonToken): readonly (string | number)[] {
  return path.slice(0, Math.min(MAX_PATH, kind === 'key' ? path.length - 1 : path.length));
}

function rawPositions(literal: string, matches: readonly Match[]): ReadonlyMap<number, number> {
  const positions = matches.flatMap(({ start, end }) => [start, end]).toSorted((a, b) => a - b);
  const raw = literalPositions(literal, positions);
  return new Map(positions.map((position, index) => [position, raw[index] ?? position]));
}

/** In a string only what has strings of its own: one that is a number is its owner's text, and gets no quotes. */
function isJson(text: string, depth: number): boolean {
  if (!(depth === 0 ? /^\s*[{["\d-]/ : /^\s*[{["]/).test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    // Plain text, and scanned as that.
    return false;
  }
}

const decoded = (literal: string): string => String(JSON.parse(`"${literal}"`));

function redacted(text: string, matches: readonly Match[], rules: ScanRules): string {
  const parts: string[] = [];
  let copied = 0;
  for (const { start, end, detector, bareAt } of matches) {
    if (rules[detector] !== 'Redact') continue;
    if (start >= copied) {
      const quote = bareAt === undefined ? '' : quoteAt(bareAt);
      parts.push(text.slice(copied, start), quote, REDACTED, quote);
    }
    // One that overlaps the last: what sticks out goes with it.
    copied = Math.max(copied, end);
  }
  return parts.join('') + text.slice(copied);
}

/** A quotation mark as it is written inside of so many string literals. */
function quoteAt(depth: number): string {
  let quote = '"';
  for (let level = 0; level < depth; level += 1) quote = JSON.stringify(quote).slice(1, -1);
  return quote;
}

const HARMLESS = /^[A-Za-z_][A-Za-z0-9_.-]{0,39}$/;

function placeOf(path: readonly (string | number)[]): string {
  return path.map((part) => `/${typeof part === 'number' || isHarmless(part) ? part : '*'}`).join('');
}

/** A key is the sender's text and may itself be a secret. */
function isHarmless(key: string): boolean {
  return HARMLESS.test(key) && plainMatches(key, detectors).length === 0;
}
