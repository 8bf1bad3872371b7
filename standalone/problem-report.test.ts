import { expect, test } from 'vitest';
import { ProblemReport } from './problem-report.ts';

test('each problem is said once, and again after the file was right in between', () => {
  const said: string[] = [];
  const report = new ProblemReport(
    (line) => said.push(line),
    (path) => `folder/${path}`,
  );
  const typo = { file: 'app.yaml', line: 7, message: 'spec.nope: unknown field' };
  const unreadable = { file: 'b.yaml', line: undefined, message: 'cannot be read (EACCES)' };
  report.update([typo]);
  report.update([typo, unreadable]);
  report.update([unreadable]);
  report.update([typo]);
  expect(said).toEqual([
    'folder/app.yaml:7: spec.nope: unknown field',
    'folder/b.yaml: cannot be read (EACCES)',
    'folder/app.yaml: is right again',
    'folder/app.yaml:7: spec.nope: unknown field',
    'folder/b.yaml: is right again',
  ]);
});
