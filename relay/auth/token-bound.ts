import { TOKEN_ID_PATTERN } from '#crds/token-format.ts';

/**
 * What the relay signs for somebody who came with a bearer token lives no longer than that token's RelayToken: which one it was stands behind the
 * signature, `KEY:hex.TOKENID`, and is signed with the rest, so that it can be neither left out nor put in place of another. SDKs pass `auth`
 * on as it is.
 */
export type BoundAuth = {
  /** `KEY:hex`. */
  readonly signature: string;
  /** undefined: signed by somebody who has the app's secret. */
  readonly tokenId: string | undefined;
};

const BOUND = new RegExp(String.raw`^(.*:[0-9a-f]{64})\.(${TOKEN_ID_PATTERN})$`);

export function readBoundAuth(auth: string): BoundAuth {
  const [, signature = auth, tokenId] = BOUND.exec(auth) ?? [];
  return { signature, tokenId };
}

export function writeBoundAuth({ signature, tokenId }: BoundAuth): string {
  return tokenId === undefined ? signature : `${signature}.${tokenId}`;
}

/** What is signed. Everything else that is signed with the app's secret begins with a socket id or a method of HTTP, and never so. */
export function boundText(tokenId: string | undefined, text: string): string {
  return tokenId === undefined ? text : `token:${tokenId}:${text}`;
}
