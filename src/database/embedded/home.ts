/**
 * Where the embedded database lives: `<data folder>/postgres`, or a place outside that this is a link to when
 * root starts it in a folder that the database's user may not enter. In it: `data` (PGDATA), `password`,
 * `port`, `server.log`.
 *
 *   absent --made aside, then renamed--> complete
 *
 * The rename is what makes it exist, so a process that is killed while it initialises leaves no half of one.
 */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { StartError } from '../../settings/start-error.ts';
import { type Account, accountForNewData, holdsFor, isRoot } from './account.ts';
import { sharedFolder } from './shared-folder.ts';

export interface Home {
  /** Absolute, without links. */
  readonly folder: string;
  readonly account: Account;
}

const UNFINISHED = '.unfinished-';

/** Files and folders of a home. */
export function inHome(home: string) {
  return { data: join(home, 'data'), password: join(home, 'password'), port: join(home, 'port'), log: join(home, 'server.log') };
}

/** The home that exists already. @throws StartError when it belongs to somebody else or its link leads nowhere */
export function findHome(dataDir: string): Home | undefined {
  const link = join(dataDir, 'postgres');
  if (!lstatSync(link, { throwIfNoEntry: false })) return undefined;
  if (!existsSync(link)) {
    throw new StartError(
      `${link} leads to a place that does not exist any more`,
      'Bring the data back there, or remove the link to start with an empty database.',
    );
  }
  const folder = realpathSync(link);
  const { uid, gid } = ownerOf(folder);
  const account = isRoot() ? { uid, gid } : undefined;
  if (account?.uid === 0 || (!account && uid !== process.getuid?.())) throw notOurs(folder, uid);
  return { folder, account };
}

function ownerOf(folder: string): { uid: number; gid: number } {
  const found = statSync(inHome(folder).data, { throwIfNoEntry: false });
  if (found) return found;
  throw new StartError(`${folder} is there but holds no database`, 'Remove it, or set DATA_DIR to another folder.');
}

function notOurs(folder: string, uid: number): StartError {
  return new StartError(
    `the database in ${folder} belongs to the system user with id ${uid}, who cannot be used to run it`,
    'Start as the user who made it, or set DATA_DIR to another folder.',
  );
}

/** Makes a home with what `fill` puts into it; nothing of it is there unless that succeeds. */
export async function makeHome(dataDir: string, log: (line: string) => void, fill: (home: Home) => Promise<void>): Promise<Home> {
  const account = accountForNewData();
  const reachable = account === undefined || holdsFor(account, 'cd "$1"', dataDir);
  const folder = reachable ? join(dataDir, 'postgres') : placeOutside(dataDir);
  const parent = dirname(folder);
  removeUnfinished(parent);
  const fresh = mkdtempSync(join(parent, UNFINISHED));
  if (account) chmodSync(fresh, 0o711);
  mkdirSync(inHome(fresh).data, { mode: 0o700 });
  if (account) chownSync(inHome(fresh).data, account.uid, account.gid);
  await fill({ folder: fresh, account });
  renameSync(fresh, folder);
  if (!reachable) {
    symlinkSync(folder, join(dataDir, 'postgres'));
    log(`The database's user cannot enter this folder: its data are kept in ${folder}.`);
  }
  return { folder, account };
}

/** A new name each time: deleting the data folder means to begin anew, and never that older data come back. */
function placeOutside(dataDir: string): string {
  const project = createHash('sha256').update(dataDir).digest('hex').slice(0, 12);
  const parent = mkdtempSync(join(sharedFolder(), `${project}-`));
  chmodSync(parent, 0o711);
  return join(parent, 'postgres');
}

/** An initdb whose parent was killed may still be writing there: hence the retries. */
function removeUnfinished(parent: string): void {
  for (const name of readdirSync(parent).filter((each) => each.startsWith(UNFINISHED))) {
    rmSync(join(parent, name), { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  }
}
