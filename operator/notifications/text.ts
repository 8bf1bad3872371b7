import type { Message } from './message.ts';

/** The body of a mail: plain text, a command a line. */
export function plainText({ paragraphs, actions, footer }: Message): string {
  const commands = actions.map(({ text, command }) => `${text}\n\n    ${command}`);
  return `${[...paragraphs, ...commands].join('\n\n')}\n\n-- \n${footer}\n`;
}

/** The same for Slack and what understands the same markup: bold subject, commands as code. */
export function chatText({ subject, paragraphs, actions, footer }: Message): string {
  const commands = actions.map(({ text, command }) => `${escaped(text)}\n\`\`\`${escaped(command)}\`\`\``);
  return [`*${escaped(subject)}*`, ...paragraphs.map(escaped), ...commands, `_${escaped(footer)}_`].join('\n');
}

/** https://docs.slack.dev/messaging/formatting-message-text#escaping: nothing else can begin a mention or a link. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
