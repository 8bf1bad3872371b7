const ORDINARY = '{"name":"created","text":"what most events are made of: words"}';

/**
 * The same expression, compiled for ordinary text. V8 compiles one on its second use, and counts the characters of the text at hand to see how
 * far it may skip: a process whose first event was all digits would look at every character of every later one, several times slower.
 */
export function primed(expression: RegExp): RegExp {
  for (let use = 0; use < 2; use += 1) expression.test(ORDINARY);
  return expression;
}
