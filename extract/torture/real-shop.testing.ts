/**
 * The shop as `npm start` runs it, in a process that can be killed and comes back on the same port.
 *
 *   (none) --launch--> starting --listens, is up--> up --kill, or an end of its own--> ended --launch--> starting
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { projectRoot } from '../../src/host/discover.ts';
import { isAtLeast, readLogLine } from '../../src/log/log-line.ts';
import { startCommand } from '../start-command.ts';
import { freePort } from '../../src/testing/free-port.ts';
import type { Credentials } from './stage.testing.ts';

export interface Life {
  readonly pid: number;
  /** Milliseconds from the launch until it said that it is up; rejects when it ends before. */
  readonly up: Promise<number>;
  /** The signal or exit code that ended it. */
  readonly ended: Promise<string>;
  /** What the process tells of itself when it is asked, see `inside.ts`. */
  ask<T>(question: string): Promise<T>;
  /** Resolves when it has ended. */
  kill(signal: NodeJS.Signals): Promise<string>;
}

export interface RealShopInit {
  /** Settings, on top of those that every shop under torture has; `impatient` ones among them where something is going to be broken. */
  readonly settings: Readonly<Record<string, string>>;
  /** Hears of each line that a process logs as an error or worse. */
  onError?(line: string): void;
}

export const administrator: Credentials = { username: 'admin', password: 'correct horse battery staple' };

/**
 * Quick to try again, slow at the card processor's and short of connections, so that a run meets more of everything; nothing else differs from what
 * people run. Events have the tries and the delays of the defaults: with more of them a run would hide dead letters that people get.
 */
export const impatient = { POOL_SIZE: '4', SAGA_RETRY_BASE_MS: '20', SAGA_RETRY_MAX_MS: '200', PAYMENT_LEASE_MS: '1000', PAYMENT_GATEWAY_TIMEOUT_MS: '150', PAYMENT_GATEWAY_LATENCY_MS: '10' };

export class RealShop {
  readonly url: string;
  readonly #port: number;
  readonly #init: RealShopInit;
  readonly #privateKey = generateKeyPairSync('rsa', { modulusLength: 2_048, privateKeyEncoding: { type: 'pkcs8', format: 'pem' }, publicKeyEncoding: { type: 'spki', format: 'pem' } }).privateKey;
  readonly #lives = new Set<Life>();
  #life: Life | undefined;

  private constructor(port: number, init: RealShopInit) {
    this.#port = port;
    this.#init = init;
    this.url = `http://127.0.0.1:${port}`;
  }

  static async prepare(init: RealShopInit): Promise<RealShop> {
    return new RealShop(await freePort(), init);
  }

  /** The life that began last. */
  get life(): Life {
    if (!this.#life) throw new Error('the shop has not been launched');
    return this.#life;
  }

  launch(): Life {
    const startedAt = performance.now();
    const { env, flags, script } = startCommand();
    const child = spawn(process.execPath, [...flags, '--import', new URL('inside.ts', import.meta.url).href, join(projectRoot, script)], {
      cwd: projectRoot,
      // Nothing of this terminal's environment: a LOG_LEVEL or a DATABASE_URL would make it another shop.
      env: { PATH: process.env['PATH'], ...env, ...this.#settings() },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const ended = once(child, 'close').then(([code, signal]) => String(signal ?? code));
    const lastWords: string[] = [];
    const heard = (line: string): void => {
      lastWords.push(line);
      this.#init.onError?.(line);
    };
    const life: Life = {
      pid: child.pid!,
      up: isUp(child, heard).then((said) => (said ? performance.now() - startedAt : Promise.reject(new Error(['the shop ended before it was up', ...lastWords.slice(-3)].join(': '))))),
      ended,
      ask: async <T>(question: string) => {
        child.send(question);
        const [answer] = await once(child, 'message');
        return answer as T;
      },
      kill: async (signal) => (child.kill(signal), ended),
    };
    // Whoever kills a process that starts does not wait for it.
    life.up.catch(() => undefined);
    this.#lives.add(life);
    this.#life = life;
    void ended.then(() => this.#lives.delete(life));
    return life;
  }

  /** Ends what is left, after a failure. */
  async end(): Promise<void> {
    await Promise.all([...this.#lives].map(async (life) => life.kill('SIGKILL')));
  }

  #settings(): Record<string, string> {
    return {
      PORT: String(this.#port),
      LOG_LEVEL: 'error',
      SEED_DEMO: 'false',
      RATE_LIMIT_PER_MINUTE: '0',
      JWT_PRIVATE_KEY: this.#privateKey,
      ADMIN_USERNAME: administrator.username,
      ADMIN_PASSWORD: administrator.password,
      TOKEN_TTL_SECONDS: '86400',
      PAYMENT_TIMEOUT: '24h',
      ...this.#init.settings,
    };
  }
}

/** False when it ends without having been up. Reads on to the end: what it logs meanwhile must be heard. */
function isUp(child: ChildProcess, onError: (line: string) => void): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  createInterface({ input: child.stdout! }).on('line', (line) => {
    if (line.startsWith('Cleave is up')) resolve(true);
    const logged = readLogLine(line);
    if (logged && isAtLeast(logged, 'error')) onError(line);
  });
  createInterface({ input: child.stderr! }).on('line', onError);
  child.once('close', () => resolve(false));
  return promise;
}
