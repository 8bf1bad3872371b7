import { readFile } from 'node:fs/promises';

/** What docs/mtls.md says of one proxy: the block of code in its language. */
export async function documentedSnippet(language: string): Promise<string> {
  const document = await readFile(new URL('../../../docs/mtls.md', import.meta.url), 'utf8');
  const text = new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``).exec(document)?.[1];
  if (text === undefined) throw new Error(`docs/mtls.md has no block of ${language}`);
  return text;
}
