/** The users service: accounts and sign-in. Whatever it hands out is free of passwords and hashes. */
import { type Actor, type Call, type Database, decodeCursor, encodeCursor, isRefusal, refuse, type Role, type Sql, type Transaction } from '#kernel';
import type { Static } from '@sinclair/typebox';
import {
  type Account,
  applyChange,
  type Changed,
  changeNeedsPassword,
  isUsername,
  maySeeAccount,
  normalizeEmail,
  normalizePassword,
  requireValid,
  wouldLeaveNoAdministrator,
} from './account.ts';
import {
  accountFinder,
  findByName,
  insertAccount,
  isEmailTaken,
  lockAccount,
  lockEmail,
  lockWithAdministrators,
  type Mark,
  MOST_WITHDRAWN,
  type StoredAccount,
  whatIsTaken,
  withdrawnTokens,
} from './accounts.ts';
import { type UserSummary, users, type WithdrawnTokens } from './contract.ts';
import type { Passwords } from './passwords.ts';
import type { Attempt, SignInThrottle } from './sign-in-throttle.ts';
import type { TokenOwner } from './tokens.ts';

/** An account as its owner and the shop's people see it. */
export interface User {
  readonly id: string;
  readonly username: string;
  readonly email: string;
  readonly phone: string | null;
  readonly role: Role;
  /** RFC 3339, UTC. */
  readonly createdAt: string;
}

export interface Registration {
  readonly username: string;
  readonly email: string;
  readonly password: string;
}

/** Where a request comes from; failures to name the right password count against it. */
export interface Origin {
  readonly address: string;
}

export interface OwnChange {
  readonly email?: string;
  /** E.164; null takes it away. */
  readonly phone?: string | null;
  readonly password?: string;
  readonly currentPassword?: string;
}

export interface UsersTools {
  readonly db: Database;
  readonly passwords: Passwords;
  readonly throttle: SignInThrottle;
}

export class Users {
  readonly #db: Database;
  readonly #passwords: Passwords;
  readonly #throttle: SignInThrottle;
  readonly #findById: ReturnType<typeof accountFinder>;

  constructor({ db, passwords, throttle }: UsersTools) {
    this.#db = db;
    this.#passwords = passwords;
    this.#throttle = throttle;
    this.#findById = accountFinder(db);
  }

  /**
   * Makes a customer. Of concurrent registrations of one name or address exactly one succeeds.
   * @throws ContractError USERNAME_TAKEN, EMAIL_TAKEN
   */
  async register(registration: Registration, call: Call): Promise<User> {
    requireValid(registration);
    const { username, password } = registration;
    const email = normalizeEmail(registration.email);
    await refuseTaken(this.#db.for(call), username, email);
    const passwordHash = await this.#passwords.hash(normalizePassword(password), call);
    return this.#db.transaction({ call }, async (tx) => {
      await lockEmail(tx, email);
      const account = await insertAccount(tx, { username, email, role: 'customer', passwordHash });
      if (!account) throw await takenAtTheSameTime(tx, username, email);
      tx.publish(users.events.userRegistered, { userId: account.id, username, email, role: account.role });
      return toUser(account);
    });
  }

  /** As `register`; but where exactly this account is there already, it is the answer. */
  async registerOnce(registration: Registration, call: Call): Promise<User> {
    try {
      return await this.register(registration, call);
    } catch (error) {
      const known = isRefusal(error, users, 'USERNAME_TAKEN', 'EMAIL_TAKEN') ? await findByName(this.#db.for(call), registration.username) : undefined;
      if (known?.email !== normalizeEmail(registration.email)) throw error;
      return toUser(known);
    }
  }

  /**
   * Who signs in with this name and password. It takes as long for a name that nobody has.
   * @throws ContractError INVALID_CREDENTIALS, TOO_MANY_SIGN_INS
   */
  async signIn({ username, password }: { username: string; password: string }, origin: Origin, call: Call): Promise<TokenOwner> {
    const account = isUsername(username) ? await findByName(this.#db.for(call), username) : undefined;
    const fits = await this.#passwordFits(account, { username, password, ...origin }, call);
    if (!account || !fits) throw refuse(users, 'INVALID_CREDENTIALS', 'no account has this username and password');
    return account;
  }

  /** @throws ContractError USER_NOT_FOUND */
  async get(userId: string, call: Call): Promise<User> {
    return toUser(await this.#byId(userId, call));
  }

  /** @throws ContractError USER_NOT_FOUND, also where the actor may not know of the account */
  async getFor(actor: Actor, userId: string, call: Call): Promise<User> {
    if (!maySeeAccount(actor, userId)) throw notFound(userId);
    return this.get(userId, call);
  }

  /** @throws ContractError WRONG_PASSWORD, EMAIL_TAKEN, TOO_MANY_SIGN_INS, USER_NOT_FOUND */
  async changeOwn(userId: string, change: OwnChange, origin: Origin, call: Call): Promise<User> {
    requireValid({ email: change.email, password: change.password });
    const account = await this.#byId(userId, call);
    const confirmedHash = changeNeedsPassword(account, change) ? account.passwordHash : undefined;
    if (confirmedHash) await this.#requirePassword(account, change.currentPassword, origin, call);
    const passwordHash = change.password === undefined ? undefined : await this.#passwords.hash(normalizePassword(change.password), call);
    const email = change.email === undefined ? undefined : normalizeEmail(change.email);
    return this.#db.transaction({ call }, async (tx) => {
      if (email !== undefined) await lockEmail(tx, email);
      const current = await lockAccount(tx, userId);
      if (!current) throw notFound(userId);
      const confirmed = current.passwordHash === confirmedHash || !changeNeedsPassword(current, change);
      if (!confirmed) throw wrongPassword('the account was changed meanwhile; look at it again');
      if (email !== undefined && email !== current.email && (await isEmailTaken(tx, email))) throw emailTaken(email);
      return publishChange(tx, current, applyChange(current, { email, phone: change.phone, passwordHash }));
    });
  }

  /** @throws ContractError USER_NOT_FOUND, LAST_ADMINISTRATOR */
  async changeRole(userId: string, role: Role, call: Call): Promise<User> {
    return this.#db.transaction({ call }, async (tx) => {
      const locked = await lockWithAdministrators(tx, userId);
      const account = locked.find(({ id }) => id === userId);
      if (!account) throw notFound(userId);
      const administrators = locked.filter((each) => each.role === 'admin').map(({ id }) => id);
      if (wouldLeaveNoAdministrator(administrators, userId, role)) {
        throw refuse(users, 'LAST_ADMINISTRATOR', `${account.username} is the only administrator; make another one first`);
      }
      return publishChange(tx, account, applyChange(account, { role }));
    });
  }

  /** Whose tokens were withdrawn, in that order, after the mark `next` of an earlier answer. */
  async withdrawnTokens(after: string | undefined, call: Call): Promise<Static<typeof WithdrawnTokens>> {
    const mark = decodeCursor(after, ['string', 'uuid']) as Mark | undefined;
    const { withdrawn, next } = await withdrawnTokens(this.#db.for(call), mark);
    return { withdrawn, next: encodeCursor(next), more: withdrawn.length === MOST_WITHDRAWN };
  }

  /** Checked before the wait for a turn, so that who is blocked fills no queue, and again when it has come. */
  async #passwordFits(account: StoredAccount | undefined, attempt: Attempt & { password: string }, call: Call): Promise<boolean> {
    await this.#throttle.admit(attempt, call);
    return this.#passwords.inTurn(call, async (check) => {
      const hasFailed = await this.#throttle.admit(attempt, call);
      const right = await check(account?.passwordHash, normalizePassword(attempt.password));
      if (!right) await this.#throttle.countFailure(attempt, call);
      else if (hasFailed) await this.#throttle.forgive(attempt, call);
      return right;
    });
  }

  async #requirePassword(account: StoredAccount, password: string | undefined, origin: Origin, call: Call): Promise<void> {
    if (password === undefined) throw wrongPassword('currentPassword is missing; changing the e-mail address or the password takes it');
    const fits = await this.#passwordFits(account, { username: account.username, password, ...origin }, call);
    if (!fits) throw wrongPassword('currentPassword is not the password of this account');
  }

  async #byId(userId: string, call: Call): Promise<StoredAccount> {
    const account = await this.#findById(userId, call);
    if (!account) throw notFound(userId);
    return account;
  }
}

function toUser({ id, username, email, phone, role, createdAt }: StoredAccount): User {
  return { id, username, email, phone: phone ?? null, role, createdAt: createdAt.toISOString() };
}

/** What other modules may see of a user. */
export function toSummary({ id, username, email, phone, role }: User): Static<typeof UserSummary> {
  return { id, username, email, phone, role };
}

function publishChange(tx: Transaction, account: Account, changed: Changed[]): User {
  if (changed.length > 0) tx.publish(users.events.userChanged, { userId: account.id, changed, role: account.role });
  return toUser(account);
}

async function refuseTaken(db: Sql, username: string, email: string): Promise<void> {
  const taken = await whatIsTaken(db, username, email);
  if (taken.username) throw usernameTaken(username);
  if (taken.email) throw emailTaken(email);
}

/** Another registration was faster. Where its address has been given up since, it was taken nevertheless. */
async function takenAtTheSameTime(tx: Transaction, username: string, email: string): Promise<Error> {
  return (await whatIsTaken(tx, username, email)).username ? usernameTaken(username) : emailTaken(email);
}

function usernameTaken(username: string): Error {
  return refuse(users, 'USERNAME_TAKEN', `the username ${username} is taken; choose another one`);
}

function emailTaken(email: string): Error {
  return refuse(users, 'EMAIL_TAKEN', `the address ${email} belongs to an account; sign in, or use another one`);
}

function wrongPassword(detail: string): Error {
  return refuse(users, 'WRONG_PASSWORD', detail);
}

function notFound(userId: string): Error {
  return refuse(users, 'USER_NOT_FOUND', `there is no user ${userId}`);
}
