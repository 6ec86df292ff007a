/** What goes to and fro between the process and its hashing thread, and the cost of a hash. */
import { randomBytes } from 'node:crypto';

/** OWASP's first choice for argon2id: 19 MiB, two passes, one lane; 8 to 13 ms of one core. */
export const argon2id = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;

export type PasswordJob =
  | { readonly kind: 'hash'; readonly password: string }
  | { readonly kind: 'verify'; readonly hash: string; readonly password: string };

/** A patient thread runs only when a processor has nothing else to do; an insistent one yields and gets its share. */
export type PasswordThreadKind = 'patient' | 'insistent';

export interface PasswordAnswer {
  readonly result?: string | boolean;
  readonly error?: string;
}

/** A hash that no password fits, as dear to check as a real one: who has no account is refused as slowly as who has. */
export function decoyHash(): string {
  const { memoryCost, timeCost, parallelism } = argon2id;
  return `$argon2id$v=19$m=${memoryCost},t=${timeCost},p=${parallelism}$${phcBase64(randomBytes(16))}$${phcBase64(randomBytes(32))}`;
}

/** Base64 without padding, as the PHC string format has it. */
function phcBase64(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '');
}
