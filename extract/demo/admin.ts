/** Where the demo learns which shop runs here and who its administrator is. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ShopApi, StepFailed } from './shop-api.ts';

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** Credentials, and where they come from in words. */
export interface Found extends Credentials {
  readonly source: string;
}

/** What a shop in development says of itself in its data folder. */
interface Running {
  readonly url: string;
  /** Name of the file with the administrator's password. */
  readonly admin: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** BASE_URL, else the shop that was started last on this data folder, else where a shop listens by default. */
export async function shopUrl(env: Environment): Promise<string> {
  return env.BASE_URL || (await running(env))?.url || 'http://127.0.0.1:8080';
}

/**
 * From ADMIN_USERNAME and ADMIN_PASSWORD, else from the file that a shop in development leaves in its data
 * directory when it has made up the password itself.
 */
export async function adminCredentials(env: Environment): Promise<Found> {
  if (env.ADMIN_USERNAME && env.ADMIN_PASSWORD) return { username: env.ADMIN_USERNAME, password: env.ADMIN_PASSWORD, source: 'ADMIN_USERNAME and ADMIN_PASSWORD' };
  const here = await running(env);
  const isIt = here !== undefined && here.url === (await shopUrl(env));
  const file = join(folderOf(env), isIt ? here.admin : 'admin.json');
  const { username, password } = await readObject<Credentials>(file);
  if (username && password) return { username, password, source: file };
  throw new StepFailed(
    `the demo needs the administrator to fill the shelf and to dispatch: there is no ${file}, ` +
      'so pass ADMIN_USERNAME and ADMIN_PASSWORD (the shop printed the password at its first start)',
  );
}

/** A token of the administrator's. @throws StepFailed that says what to do where the shop does not know the password */
export async function signInAsAdmin(api: ShopApi, found: Found): Promise<string> {
  try {
    return await api.signIn(found);
  } catch (error) {
    if (!(error instanceof StepFailed) || !error.message.includes('INVALID_CREDENTIALS')) throw error;
    throw new StepFailed(
      `${error.message}. The shop does not know ${found.username} by the password from ${found.source}: it has been changed, or is that of another database. ` +
        'Pass ADMIN_USERNAME and ADMIN_PASSWORD, or set a new password: ADMIN_PASSWORD=… npm start',
      { cause: error },
    );
  }
}

async function running(env: Environment): Promise<Running | undefined> {
  const { url, admin } = await readObject<Running>(join(folderOf(env), 'running.json'));
  return url && admin ? { url, admin } : undefined;
}

function folderOf(env: Environment): string {
  return env.DATA_DIR || '.data';
}

/** Nothing of what is expected where there is no such file. */
async function readObject<Expected>(file: string): Promise<Partial<Expected>> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Partial<Expected>;
  } catch {
    return {};
  }
}
