/** Accounts in the database: how they are found, made and locked. */
import { among, type Call, type Database, type Role, type Sql, type Transaction, uuidv7 } from '#kernel';
import { LockMode } from '@mikro-orm/core';
import DataLoader from 'dataloader';
import { Account, usernameKey } from './account.ts';
import { MAX_TOKEN_TTL_SECONDS } from './settings.ts';

/** An account as it is read. */
export type StoredAccount = Omit<Account, 'usernameKey' | 'tokensWithdrawnAt'>;

export interface NewAccount {
  readonly id?: string;
  readonly username: string;
  /** Normalised. */
  readonly email: string;
  readonly role: Role;
  readonly passwordHash: string;
}

const columns = 'id, username, email, phone, role, password_hash as "passwordHash", token_generation as "tokenGeneration", created_at as "createdAt"';

const MOST_AT_ONCE = 100;

interface Wanted {
  readonly userId: string;
  readonly call: Call;
}

/**
 * Finds accounts by id; what is asked for at the same moment is asked of the database in one statement, which is in
 * the trace of whoever came first.
 */
export function accountFinder(db: Database): (userId: string, call: Call) => Promise<StoredAccount | undefined> {
  const find = async (wanted: readonly Wanted[]): Promise<(StoredAccount | undefined)[]> => {
    const userIds = wanted.map(({ userId }) => userId);
    const { condition, param } = among('id', userIds);
    const accounts = await db.for(wanted[0]!.call).sql<StoredAccount>(`select ${columns} from account where ${condition}`, [param]);
    const byId = new Map(accounts.map((account) => [account.id, account]));
    return userIds.map((userId) => byId.get(userId));
  };
  const loader = new DataLoader(find, { cache: false, maxBatchSize: MOST_AT_ONCE });
  return async (userId, call) => loader.load({ userId: userId.toLowerCase(), call });
}

export async function findByName(db: Sql, username: string): Promise<StoredAccount | undefined> {
  const [account] = await db.sql<StoredAccount>(`select ${columns} from account where username_key = $1`, [usernameKey(username)]);
  return account;
}

/** @returns undefined where the username or the address is taken, also by a transaction that ran at the same time */
export async function insertAccount(tx: Transaction, account: NewAccount): Promise<StoredAccount | undefined> {
  const { id = uuidv7(), username, email, role, passwordHash } = account;
  const [inserted] = await tx.sql<StoredAccount>(
    `insert into account (id, username, username_key, email, role, password_hash) values ($1, $2, $3, $4, $5, $6)
     on conflict do nothing returning ${columns}`,
    [id, username, usernameKey(username), email, role, passwordHash],
  );
  return inserted;
}

export async function whatIsTaken(db: Sql, username: string, email: string): Promise<{ username: boolean; email: boolean }> {
  const [taken] = await db.sql<{ username: boolean; email: boolean }>(
    `select exists (select from account where username_key = $1) as username,
            exists (select from account where email = $2) as email`,
    [usernameKey(username), email],
  );
  return taken!;
}

export async function isEmailTaken(tx: Transaction, email: string): Promise<boolean> {
  const [taken] = await tx.sql('select from account where email = $1', [email]);
  return taken !== undefined;
}

/** Whoever takes or changes to an address does so one after the other: an update has no `on conflict do nothing`. */
export async function lockEmail(tx: Transaction, email: string): Promise<void> {
  await tx.sql('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`users.email:${email}`]);
}

export async function lockAccount(tx: Transaction, userId: string): Promise<Account | null> {
  return tx.em.findOne(Account, { id: userId }, { lockMode: LockMode.PESSIMISTIC_WRITE });
}

/** In the order of their ids, so that two administrators who demote each other do not lock crosswise. */
export async function lockWithAdministrators(tx: Transaction, userId: string): Promise<Account[]> {
  return tx.em.find(Account, { $or: [{ id: userId }, { role: 'admin' }] }, { orderBy: { id: 'asc' }, lockMode: LockMode.PESSIMISTIC_WRITE });
}

/** At most this many users are told of at a time. */
export const MOST_WITHDRAWN = 1_000;

/**
 * What is told of again each time. A transaction that withdraws tokens shows its time only when it commits, and the clocks of
 * two processes differ: both by much less than a minute.
 */
const LATE_COMMIT_MS = 60_000;
const BEGINNING: Mark = ['-infinity', '00000000-0000-0000-0000-000000000000'];

/** Time and id of an account, the order in which withdrawn tokens are told of. */
export type Mark = readonly [at: string, id: string];

/** Whose tokens were withdrawn after the mark, as long as one of them may be alive; and where to go on. */
export async function withdrawnTokens(db: Sql, [at, id]: Mark = BEGINNING): Promise<{ withdrawn: { userId: string; generation: number }[]; next: Mark }> {
  const rows = await db.sql<{ userId: string; generation: number; at: string }>(
    `select id as "userId", token_generation as generation, tokens_withdrawn_at::text as at from account
     where tokens_withdrawn_at > now() - make_interval(secs => $1) and (tokens_withdrawn_at, id) > ($2::timestamptz, $3::uuid)
     order by tokens_withdrawn_at, id limit $4`,
    [MAX_TOKEN_TTL_SECONDS, at, id, MOST_WITHDRAWN],
  );
  const last = rows[MOST_WITHDRAWN - 1];
  const next: Mark = last ? [last.at, last.userId] : [new Date(Date.now() - LATE_COMMIT_MS).toISOString(), BEGINNING[1]];
  return { withdrawn: rows.map(({ userId, generation }) => ({ userId, generation })), next };
}

/** @returns whether there is an administrator */
export async function hasAdministrator(db: Sql): Promise<boolean> {
  const [row] = await db.sql<{ found: boolean }>(`select exists (select from account where role = 'admin') as found`);
  return row!.found;
}
