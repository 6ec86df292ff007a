/** The operating system's user that the database runs as. PostgreSQL refuses to run as root. */
import { spawnSync } from 'node:child_process';
import { StartError } from '../../settings/start-error.ts';

/** Undefined stands for the user who runs this process. */
export type Account = { readonly uid: number; readonly gid: number } | undefined;

const OWN_USER = 'cleave';

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** For new data: this user, or for root `postgres` if there is one, else a system user that is made for it, else `nobody`. */
export function accountForNewData(): Account {
  if (!isRoot()) return undefined;
  const account = lookUp('postgres') ?? lookUp(OWN_USER) ?? create(OWN_USER) ?? lookUp('nobody');
  if (account) return account;
  throw new StartError(
    'the embedded database cannot run as root and no other user could be found or made for it',
    'Start as an ordinary user, or set DATABASE_URL to a PostgreSQL that runs already.',
  );
}

function lookUp(name: string): Account {
  const [uid, gid] = ['-u', '-g'].map((flag) => spawnSync('id', [flag, name], { encoding: 'utf8' }));
  if (uid!.status !== 0 || gid!.status !== 0) return undefined;
  return { uid: Number(uid!.stdout), gid: Number(gid!.stdout) };
}

function create(name: string): Account {
  const flags = ['--system', '--user-group', '--no-create-home', '--home-dir', '/nonexistent', '--shell', '/usr/sbin/nologin'];
  spawnSync('useradd', [...flags, name]);
  return lookUp(name);
}

/** Whether a shell test such as `[ -x "$1" ]` holds for the account: the kernel's own answer, ACLs and mounts included. */
export function holdsFor(account: Account, test: string, ...args: string[]): boolean {
  return spawnSync('/bin/sh', ['-c', test, 'sh', ...args], { ...account, cwd: '/', stdio: 'ignore' }).status === 0;
}
