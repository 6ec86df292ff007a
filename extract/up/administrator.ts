/** The administrator of all services together: each has a database of its own, but there is one to sign in as. */
import { randomBytes } from 'node:crypto';
import { keepIn } from '../../src/keep.ts';
import type { UpSettings } from './environment.ts';

export interface Administrator {
  readonly username: string;
  readonly password: string;
  /** It was made up just now, and nobody has been told. */
  readonly isNew: boolean;
  /**
   * Keeps it in the data folder, where `npm run demo` and the next `up` find it; nothing where it was given. To be called once services have taken
   * the password: one that finds another than it had takes back what was kept.
   */
  keep(): Promise<void>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The one that is given, else the one that is kept in the data folder, else one that is made up.
 * @returns undefined in production, where nothing is made up in its place
 */
export async function administratorOf(env: Environment, { dataDir, kernel }: Pick<UpSettings, 'dataDir' | 'kernel'>): Promise<Administrator | undefined> {
  const username = env['ADMIN_USERNAME'] || 'admin';
  if (env['ADMIN_PASSWORD']) return { username, password: env['ADMIN_PASSWORD'], isNew: false, keep: async () => undefined };
  if (kernel.NODE_ENV === 'production') return undefined;
  const keeper = keepIn(dataDir, kernel.DATABASE_URL);
  const kept = credentialsOf(await keeper.find('admin'));
  const credentials = kept ?? { username, password: randomBytes(15).toString('base64url') };
  return { ...credentials, isNew: !kept, keep: async () => keeper.keep('admin', credentials) };
}

function credentialsOf(kept: Readonly<Record<string, unknown>> | undefined): { username: string; password: string } | undefined {
  const { username, password } = kept ?? {};
  return typeof username === 'string' && typeof password === 'string' ? { username, password } : undefined;
}
