/** Where the demo learns who the administrator is. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StepFailed } from './shop-api.ts';

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * From ADMIN_USERNAME and ADMIN_PASSWORD, else from the file that a shop in development leaves in its data
 * directory when it has made up the password itself.
 */
export async function adminCredentials(env: Environment): Promise<Credentials> {
  if (env.ADMIN_USERNAME && env.ADMIN_PASSWORD) return { username: env.ADMIN_USERNAME, password: env.ADMIN_PASSWORD };
  const file = join(env.DATA_DIR || '.data', 'admin.json');
  const kept = await readKept(file);
  if (kept) return kept;
  throw new StepFailed(
    `the demo needs the administrator to fill the shelf and to dispatch: there is no ${file}, ` +
      'so pass ADMIN_USERNAME and ADMIN_PASSWORD (the shop printed the password at its first start)',
  );
}

async function readKept(file: string): Promise<Credentials | undefined> {
  try {
    const { username, password } = JSON.parse(await readFile(file, 'utf8')) as Partial<Credentials>;
    return username && password ? { username, password } : undefined;
  } catch {
    return undefined;
  }
}
