/** The administrator of all services together: each has a database of its own, but there is one to sign in as. */
import { randomBytes } from 'node:crypto';
import { keepIn } from '../../src/keep.ts';
import type { UpSettings } from './environment.ts';

export interface Administrator {
  readonly username: string;
  readonly password: string;
  /** It was made up just now, and nobody has been told. */
  readonly isNew: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The one that is given, else the one that is kept in the data folder, else one that is made up and kept there, where `npm run demo` finds it.
 * @returns undefined in production, where nothing is made up in its place
 */
export async function administratorOf(env: Environment, { dataDir, kernel }: Pick<UpSettings, 'dataDir' | 'kernel'>): Promise<Administrator | undefined> {
  const username = env['ADMIN_USERNAME'] || 'admin';
  if (env['ADMIN_PASSWORD']) return { username, password: env['ADMIN_PASSWORD'], isNew: false };
  if (kernel.NODE_ENV === 'production') return undefined;
  const keeper = keepIn(dataDir, kernel.DATABASE_URL);
  const kept = await keeper.find('admin');
  if (typeof kept?.['username'] === 'string' && typeof kept['password'] === 'string') return { username: kept['username'], password: kept['password'], isNew: false };
  const made = { username, password: randomBytes(15).toString('base64url') };
  await keeper.keep('admin', made);
  return { ...made, isNew: true };
}
