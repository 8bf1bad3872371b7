/** Another process leads (its term is higher), or this one has not taken over yet: whatever was to be written has not been. */
export class NotLeadingError extends Error {
  readonly code = 'not_leading';
  constructor(message = 'another operator leads the directory') {
    super(message);
    this.name = 'NotLeadingError';
  }
}
