/** Sees to it that the shop has an administrator when it starts; any number of processes may start at once. */
import { randomBytes } from 'node:crypto';
import { type Call, type Database, StartError, type Transaction, uuidv7 } from '#kernel';
import { LockMode } from '@mikro-orm/core';
import { Account, applyChange, normalizePassword, usernameKey } from './account.ts';
import { hasAdministrator, insertAccount } from './accounts.ts';
import { users } from './contract.ts';
import type { Passwords } from './passwords.ts';

export interface AdministratorSettings {
  readonly ADMIN_USERNAME: string;
  readonly ADMIN_PASSWORD?: string | undefined;
}

export interface AdministratorTools {
  readonly db: Database;
  readonly passwords: Passwords;
  /** Prints a line to the operator's terminal. */
  note(line: string): void;
  /** Keeps the generated password for the operator's own tools, in development. */
  keep(name: string, secret: Readonly<Record<string, string>>): Promise<void>;
  /** Takes it back when another one is set. */
  forget(name: string, members: Readonly<Record<string, string>>): Promise<void>;
}

/** The name of what is kept for the operator's tools. */
const KEPT = 'admin';

/**
 * With ADMIN_PASSWORD: the account is made, or its role and password are brought in line. Without it: where
 * there is no administrator one is made, and its password is printed once.
 */
export async function ensureAdministrator(settings: AdministratorSettings, tools: AdministratorTools, call: Call): Promise<void> {
  const { ADMIN_USERNAME: username, ADMIN_PASSWORD: password } = settings;
  const outdated = await tools.db.transaction({ call }, async (tx) => {
    await lockBootstrap(tx);
    if (password !== undefined) return bringInLine(username, normalizePassword(password), tools.passwords, tx, call);
    if (!(await hasAdministrator(tx))) await makeFirst(username, tools, tx, call);
    return undefined;
  });
  if (outdated !== undefined) await tools.forget(KEPT, { username: outdated });
}

/** @returns the name of the account whose password was replaced, if one was */
async function bringInLine(username: string, password: string, passwords: Passwords, tx: Transaction, call: Call): Promise<string | undefined> {
  const account = await tx.em.findOne(Account, { usernameKey: usernameKey(username) }, { lockMode: LockMode.PESSIMISTIC_WRITE });
  if (!account) {
    await insertAdministrator(tx, username, await passwords.hash(password, call));
    return username;
  }
  const fits = await passwords.inTurn(call, (check) => check(account.passwordHash, password));
  const changed = applyChange(account, { role: 'admin', ...(!fits && { passwordHash: await passwords.hash(password, call) }) });
  if (changed.length > 0) tx.publish(users.events.userChanged, { userId: account.id, changed, role: account.role });
  return fits ? undefined : account.username;
}

async function makeFirst(username: string, { passwords, note, keep }: AdministratorTools, tx: Transaction, call: Call): Promise<void> {
  const password = randomBytes(15).toString('base64url');
  await insertAdministrator(tx, username, await passwords.hash(password, call));
  // Before the commit: a password that was kept in vain is made anew, one that was not kept would be lost.
  await keep(KEPT, { username, password });
  tx.afterCommit(() => note(`Administrator: ${username}, password ${password} (shown this once; ADMIN_PASSWORD sets another)`));
}

/** Processes that start at the same time follow each other here. */
async function lockBootstrap(tx: Transaction): Promise<void> {
  await tx.sql(`select pg_advisory_xact_lock(hashtextextended('users.administrator', 0))`);
}

/** The address leads nowhere (RFC 2606) and holds the id, so that nobody can have taken it. */
async function insertAdministrator(tx: Transaction, username: string, passwordHash: string): Promise<void> {
  const id = uuidv7();
  const email = `${id}@administrator.invalid`;
  if (!(await insertAccount(tx, { id, username, email, role: 'admin', passwordHash }))) {
    throw new StartError(
      `there is no administrator yet, and the account ${username} belongs to somebody`,
      'Name another one by ADMIN_USERNAME, or set ADMIN_PASSWORD to take it over.',
    );
  }
  tx.publish(users.events.userRegistered, { userId: id, username, email, role: 'admin' });
}
