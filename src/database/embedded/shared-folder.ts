/** Where root keeps what the database's user must reach when the project's own folder is closed to it. */
import { lstatSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StartError } from '../../settings/start-error.ts';

const GROUP_OR_OTHERS_MAY_WRITE = 0o022;

/** `/var/lib/cleave`, or a folder for temporary files where that cannot be made. Only root can write to it. */
export function sharedFolder(): string {
  const candidates = ['/var/lib/cleave', join(tmpdir(), 'cleave-of-root')];
  const folder = candidates.find(isOursAlone);
  if (folder) return folder;
  throw new StartError(
    `the project's folder is closed to the database's user, and neither ${candidates.join(' nor ')} can be used instead`,
    'Let other users enter the project\'s folder (chmod o+x), start as an ordinary user, or set DATABASE_URL.',
  );
}

/** Others may have put a folder of that name into /tmp first, to have root run their programs. */
function isOursAlone(folder: string): boolean {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    const found = lstatSync(folder);
    return found.isDirectory() && found.uid === process.getuid!() && (found.mode & GROUP_OR_OTHERS_MAY_WRITE) === 0;
  } catch {
    return false;
  }
}
