/** An account and its rules: what names and passwords may look like, who may see and change whom. */
import { type Actor, CallError, type Role } from '#kernel';
import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

export const Account = defineEntity({
  name: 'Account',
  tableName: 'account',
  properties: {
    id: p.uuid().primary(),
    username: p.text(),
    usernameKey: p.text().unique('account_username_key_unique'),
    email: p.text().unique('account_email_unique'),
    phone: p.text().nullable(),
    role: p.enum(['customer', 'support', 'admin']),
    passwordHash: p.text(),
    tokenGeneration: p.integer().default(0),
    tokensWithdrawnAt: p.datetime().columnType('timestamptz').nullable(),
    createdAt: p.datetime().columnType('timestamptz').defaultRaw('now()'),
  },
  indexes: [{ name: 'account_tokens_withdrawn_at', properties: ['tokensWithdrawnAt', 'id'], where: 'tokens_withdrawn_at is not null' }],
});
export type Account = InferEntity<typeof Account>;

/** What its owner may change of an account. */
export type AccountChange = Partial<Pick<Account, 'email' | 'phone' | 'role' | 'passwordHash'>>;

/** What `userChanged` may name. */
export type Changed = 'email' | 'phone' | 'role' | 'password';

/** Letters and digits of ASCII, so that no two names look the same; `.`, `_` and `-` in between. */
export const usernamePattern = '^[A-Za-z0-9_][A-Za-z0-9._-]{2,49}$';

export const usernameWords = '3 to 50 letters, digits, ".", "_" or "-", the first one a letter, digit or "_"';

const domainLabel = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?';

/** The addresses that an HTML form takes, with a dot in the domain; neither quoted names nor bare host names. */
export const emailPattern = `^[A-Za-z0-9.!#$%&'*+/=?^_\`{|}~-]{1,64}@${domainLabel}(?:\\.${domainLabel})+$`;

/** E.164: a plus, the country code and at most 15 digits in all. */
export const phonePattern = '^\\+[1-9][0-9]{6,14}$';

export const PASSWORD_MIN = 8;
export const PASSWORD_MAX = 128;
export const EMAIL_MAX = 254;

const username = new RegExp(usernamePattern);
const email = new RegExp(emailPattern);

export function isUsername(name: string): boolean {
  return username.test(name);
}

export function isEmail(address: string): boolean {
  return address.length <= EMAIL_MAX && email.test(address);
}

/** Names are compared without regard to case; they are ASCII, so no locale comes into it. */
export function usernameKey(name: string): string {
  return name.toLowerCase();
}

/** Addresses are kept and compared in lower case: no provider of note tells the cases apart. */
export function normalizeEmail(address: string): string {
  return address.toLowerCase();
}

/** The same password typed on another system may be composed otherwise (RFC 8265, section 4.2). */
export function normalizePassword(password: string): string {
  return password.normalize('NFC');
}

/** What is wrong with a new password, or undefined. Characters are code points. */
export function passwordProblem(password: string): string | undefined {
  const length = [...normalizePassword(password)].length;
  if (length < PASSWORD_MIN || length > PASSWORD_MAX) return `must have ${PASSWORD_MIN} to ${PASSWORD_MAX} characters, not ${length}`;
  if (password.includes('\0')) return 'must not hold a NUL character';
  return password.isWellFormed() ? undefined : 'must be well-formed Unicode';
}

interface Fields {
  readonly username?: string | undefined;
  readonly email?: string | undefined;
  readonly password?: string | undefined;
}

/** @throws CallError VALIDATION_FAILED that names every field that does not fit */
export function requireValid(fields: Fields): void {
  const errors = [
    problem('/username', fields.username, (name) => (isUsername(name) ? undefined : `must have ${usernameWords}`)),
    problem('/email', fields.email, (address) => (isEmail(address) ? undefined : 'must be an e-mail address such as ada@example.com')),
    problem('/password', fields.password, passwordProblem),
  ].filter((found) => found !== undefined);
  if (errors.length === 0) return;
  throw new CallError('VALIDATION_FAILED', errors.map(({ path, message }) => `${path.slice(1)} ${message}`).join('; '), { errors });
}

function problem(path: string, value: string | undefined, rule: (value: string) => string | undefined) {
  const message = value === undefined ? undefined : rule(value);
  return message === undefined ? undefined : { path, message };
}

/** Whether an account exists is known to its owner and to the shop's people alone. */
export function maySeeAccount(actor: Actor, accountId: string): boolean {
  return actor.id === accountId || actor.role !== 'customer';
}

/** Changing what one signs in with, or where mail goes, takes the password: a token may have been stolen. */
export function changeNeedsPassword(account: Pick<Account, 'email'>, change: Pick<Fields, 'email' | 'password'>): boolean {
  return change.password !== undefined || (change.email !== undefined && normalizeEmail(change.email) !== account.email);
}

/** A shop without an administrator could not make one. */
export function wouldLeaveNoAdministrator(administratorIds: readonly string[], accountId: string, role: Role): boolean {
  return role !== 'admin' && administratorIds.every((id) => id === accountId) && administratorIds.length > 0;
}

/** What one may do, or what one signs in with, is not what it was: whoever holds an older token signs in again. */
function withdrawsTokens(changed: readonly (keyof AccountChange)[]): boolean {
  return changed.includes('role') || changed.includes('passwordHash');
}

/** Brings an account in line with a change. @returns what really changed */
export function applyChange(account: Account, change: AccountChange): Changed[] {
  const changed = (Object.keys(change) as (keyof AccountChange)[]).filter((key) => change[key] !== undefined && change[key] !== account[key]);
  Object.assign(account, Object.fromEntries(changed.map((key) => [key, change[key]])));
  if (withdrawsTokens(changed)) Object.assign(account, { tokenGeneration: account.tokenGeneration + 1, tokensWithdrawnAt: new Date() });
  return changed.map((key) => (key === 'passwordHash' ? 'password' : key));
}
