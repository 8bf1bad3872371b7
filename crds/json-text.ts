import type { z } from 'zod';

/** undefined: it is no JSON. Why not is dropped on purpose: a SyntaxError quotes the text, and that may be somebody's secret. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A text from outside, as the schema has it. undefined: no JSON, or something else; what that means is for the reader to say. */
export function parseJsonAs<S extends z.ZodType>(schema: S, text: string): z.output<S> | undefined {
  return schema.safeParse(parseJson(text)).data;
}
