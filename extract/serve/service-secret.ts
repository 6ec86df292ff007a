/** The secret by which the services of a deployment know each other. */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StartError } from '../../src/settings/start-error.ts';

/** @throws StartError in production, where it must be given */
export async function serviceSecret(given: string | undefined, { production, dataDir }: { production: boolean; dataDir: string }): Promise<string> {
  if (given !== undefined) return given;
  if (production) throw new StartError('SERVICE_SECRET is not set, and in production nothing is made up in its place', 'Give all services of the deployment the same SERVICE_SECRET of at least 32 random characters.');
  await mkdir(dataDir, { recursive: true });
  const file = join(dataDir, 'service-secret');
  // Whoever is first makes it: the others find it there.
  await writeFile(file, randomBytes(32).toString('base64url'), { mode: 0o600, flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  return untilWritten(file);
}

async function untilWritten(file: string): Promise<string> {
  for (let tries = 0; tries < 100; tries += 1) {
    const secret = await readFile(file, 'utf8');
    if (secret.length >= 32) return secret;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new StartError(`${file} is empty`, 'Delete it and start all services again.');
}
