/**
 * The public keys that tokens are verified with, as the module that signs publishes them.
 *
 *   empty --first token--> asking --answer--> known
 *   asking --failure--> empty (tokens cannot be checked: 503)
 *   known --unknown kid, at most once a second--> asking; the keys known so far stay in use meanwhile
 *   known --a token, 5 minutes after the last answer--> asking, in the background
 *
 * Asking again is what makes a new key known at once and a withdrawn one forgotten; the limit keeps tokens
 * with made-up kids from turning into a storm of questions.
 */
import { createPublicKey } from 'node:crypto';
import type { Logger } from 'pino';
import { CallError } from '../contract/errors.ts';
import { type KeySet, MIN_RSA_BITS, TOKEN_ALGORITHM, type TokenKey } from './token-claims.ts';

const ASK_AGAIN_MS = 1_000;
const REFRESH_MS = 5 * 60_000;

export class TokenKeys {
  readonly #ask: () => Promise<KeySet>;
  readonly #log: Logger;
  readonly #withdrawn: () => void;
  #pems: ReadonlyMap<string, string> = new Map();
  #asking: Promise<void> | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;

  /** @param withdrawn told when a key that was in use is not published any more */
  constructor(options: { ask: () => Promise<KeySet>; log: Logger; withdrawn: () => void }) {
    this.#ask = options.ask;
    this.#log = options.log;
    this.#withdrawn = options.withdrawn;
  }

  /**
   * The key in PEM, or undefined when no such key is published.
   * @throws CallError UNAVAILABLE when the keys cannot be asked for
   */
  async pem(kid: string): Promise<string | undefined> {
    this.refresh();
    const known = this.#pems.get(kid);
    if (known !== undefined) return known;
    if (this.#asking || this.#mayAsk()) await this.#load();
    return this.#pems.get(kid);
  }

  /** Looks for withdrawn keys where the last answer is old; does not wait for the answer. */
  refresh(): void {
    if (this.#pems.size === 0 || performance.now() - this.#askedAt < REFRESH_MS) return;
    this.#load().catch((error: unknown) => {
      this.#log.warn({ err: error }, 'the token keys could not be refreshed; those known stay in use');
    });
  }

  #mayAsk(): boolean {
    return this.#pems.size === 0 || performance.now() - this.#askedAt >= ASK_AGAIN_MS;
  }

  #load(): Promise<void> {
    this.#asking ??= this.#fetch().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #fetch(): Promise<void> {
    this.#askedAt = performance.now();
    const pems = this.#usable(await this.#askOrFail());
    const gone = [...this.#pems.keys()].some((kid) => pems.get(kid) !== this.#pems.get(kid));
    this.#pems = pems;
    if (gone) this.#withdrawn();
  }

  async #askOrFail(): Promise<KeySet> {
    try {
      return await this.#ask();
    } catch (error) {
      throw new CallError('UNAVAILABLE', 'tokens cannot be checked at the moment', { cause: error });
    }
  }

  #usable(keySet: KeySet): Map<string, string> {
    const pems = new Map<string, string>();
    for (const key of keySet.keys) {
      const pem = rsaPem(key);
      if (pem === undefined) this.#log.warn({ kid: key.kid, kty: key.kty, alg: key.alg, use: key.use }, UNUSABLE);
      else pems.set(key.kid, pem);
    }
    return pems;
  }
}

const UNUSABLE = `a token key was left out: expected an RSA key of ${MIN_RSA_BITS} bits or more, for ${TOKEN_ALGORITHM} signatures`;

/** One algorithm per key: a key that is not published for RS256 signatures verifies nothing. */
function rsaPem(key: TokenKey): string | undefined {
  if (key.kty !== 'RSA' || key.alg !== TOKEN_ALGORITHM || key.use !== 'sig' || key.kid === '') return undefined;
  try {
    const publicKey = createPublicKey({ key: { kty: 'RSA', n: key.n, e: key.e }, format: 'jwk' });
    if ((publicKey.asymmetricKeyDetails?.modulusLength ?? 0) < MIN_RSA_BITS) return undefined;
    return publicKey.export({ type: 'spki', format: 'pem' }).toString();
  } catch {
    return undefined;
  }
}
