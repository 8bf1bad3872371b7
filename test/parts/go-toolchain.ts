import { canInstallPackages, installPackage, isExecutable, onPath, packageCandidate } from './package-manager.ts';
import { runProcess } from './process.ts';

const PLACES = ['/usr/local/go/bin/go', '/usr/lib/go/bin/go', '/opt/homebrew/bin/go'];

/**
 * The path of a `go` that can build the module in `folder`: one on PATH or in a usual place whose toolchain (or the one
 * it fetches) is new enough for go.mod, else, as root, apt's if that is new enough. Rejects with the reason.
 */
export async function goToolchain(folder: string): Promise<string> {
  const found = await findGo(folder);
  if (found.path !== undefined) return found.path;
  if (await canInstallPackages()) {
    const candidate = await packageCandidate('golang-go');
    if (candidate !== undefined && isNewEnough(candidate)) {
      await installPackage('golang-go', async () => (await findGo(folder)).path !== undefined);
      const installed = await findGo(folder);
      if (installed.path !== undefined) return installed.path;
    }
  }
  throw new Error(`Go 1.26 or later is needed to build it, and ${found.reason ?? 'there is none on PATH'}`);
}

async function findGo(folder: string): Promise<{ readonly path?: string; readonly reason?: string }> {
  let reason: string | undefined;
  for (const path of [await onPath('go'), ...PLACES]) {
    if (path === undefined || !(await isExecutable(path))) continue;
    // Fails if go.mod asks for a newer Go than this one is or can fetch.
    const { code, stderr } = await runProcess(
      { command: path, args: ['list', '-m'], cwd: folder },
      { timeoutMs: 120_000 },
    );
    if (code === 0) return { path };
    reason = `${path} says: ${stderr.trim()}`;
  }
  return reason === undefined ? {} : { reason };
}

/** Is this Debian version, e.g. `2:1.26~1`, at least Go 1.26? */
function isNewEnough(version: string): boolean {
  const match = /^(?:\d+:)?(\d+)\.(\d+)/.exec(version);
  return match !== null && (Number(match[1]) > 1 || (Number(match[1]) === 1 && Number(match[2]) >= 26));
}
