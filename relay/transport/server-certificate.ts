import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { createSecureContext } from 'node:tls';
import type { Logger } from 'pino';

/** Paths of PEM files, TLS_CERT_FILE and TLS_KEY_FILE: the certificate with its chain, and its private key. */
export type CertificateFiles = { readonly cert: string; readonly key: string };

export type ServerCertificate = {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  /** Epoch milliseconds. */
  readonly notAfter: number;
};

/** Rejects when a file cannot be read, is no PEM, or the key is of another certificate. The message names the setting and no content. */
export async function readCertificate(files: CertificateFiles): Promise<ServerCertificate> {
  const [cert, key] = await Promise.all([readPem('TLS_CERT_FILE', files.cert), readPem('TLS_KEY_FILE', files.key)]);
  try {
    // Throws where a server would only fail its handshakes.
    createSecureContext({ cert, key });
  } catch (error) {
    throw new Error(`TLS_CERT_FILE and TLS_KEY_FILE: ${error instanceof Error ? error.message : 'not usable'}`, {
      cause: error,
    });
  }
  return { cert, key, notAfter: new X509Certificate(cert).validToDate.getTime() };
}

async function readPem(setting: string, path: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'failed';
    throw new Error(`${setting}: the file cannot be read (${code})`, { cause: error });
  }
  if (!text.includes('-----BEGIN ')) throw new Error(`${setting}: the file is not PEM`);
  return text;
}

export type ReloadParts = {
  readonly files: CertificateFiles;
  /** What is served now. */
  readonly current: ServerCertificate;
  readonly intervalMs: number;
  readonly log: Logger;
  /** Called with each pair that differs from the one before. */
  readonly onChange: (certificate: ServerCertificate) => void;
  readonly onFailure: () => void;
};

/**
 * Reads the files again and again: a mounted Secret changes by a symbolic link that is swapped somewhere up the path, which file
 * notifications tell differently on every system, and not at all on some. A pair that is not whole (one file is older than the other) is
 * left alone until it is: what was served goes on. Disposing ends it.
 */
export function keepReloading(parts: ReloadParts): AsyncDisposable {
  const stopping = new AbortController();
  const reading = reload(parts, stopping.signal);
  return {
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      await reading;
    },
  };
}

async function reload(parts: ReloadParts, signal: AbortSignal): Promise<void> {
  const { files, intervalMs, log, onChange, onFailure } = parts;
  let { current } = parts;
  let failed = '';
  while (await passes(intervalMs, signal)) {
    try {
      const read = await readCertificate(files);
      failed = '';
      if (read.cert === current.cert && read.key === current.key) continue;
      current = read;
      onChange(read);
      log.info({ notAfter: new Date(read.notAfter).toISOString() }, 'the TLS certificate was replaced');
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      // Once per trouble, not once per look.
      if (message !== failed) {
        onFailure();
        log.error({ error: message }, 'the TLS certificate cannot be read, the one before is still served');
      }
      failed = message;
    }
  }
}

/** false: aborted. */
async function passes(ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await delay(ms, undefined, { signal, ref: false });
    return true;
  } catch {
    return false;
  }
}
