/** Customers who sign in again as soon as they are answered. They are a process of their own: in the load generator's they would make it late. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { CUSTOMERS } from './shop.ts';

export interface SignedIn {
  /** Passwords that were checked. */
  readonly checked: number;
  /** Sign-ins that found no room and were told to come again. */
  readonly refused: number;
  readonly seconds: number;
}

export interface SignIns {
  stop(): Promise<SignedIn>;
}

/** More than wait for their turn, so that there is never a moment without a hash. */
export const SIGNING_IN = 32;
const REFUSED_WAITS_MS = 100;
/** What the process is told to end with. */
const STOP = 'stop';

if (process.send && process.argv[1] === import.meta.filename) await signIn(process.argv[2]!);

/** @returns once the first was answered */
export async function startSignIns(url: string): Promise<SignIns> {
  const child = fork(import.meta.filename, [url]);
  const ended = once(child, 'exit').then(([code, signal]) => Promise.reject(new Error(`the process that signs in ended with ${signal ?? code}`)));
  ended.catch(() => undefined);
  await Promise.race([message(child), ended]);
  return {
    async stop() {
      child.send(STOP);
      return (await Promise.race([message(child), ended])) as SignedIn;
    },
  };
}

async function message(child: ChildProcess): Promise<unknown> {
  const [first] = (await once(child, 'message')) as [unknown];
  return first;
}

async function signIn(url: string): Promise<void> {
  const pool = new Pool(url, { connections: SIGNING_IN });
  const counted = { checked: 0, refused: 0 };
  const started = performance.now();
  let over = false;
  const repeatedly = async (number: number): Promise<void> => {
    const { username, password } = CUSTOMERS[number % CUSTOMERS.length]!;
    while (!over) {
      const { statusCode, body } = await pool.request({ path: '/api/v1/users/authenticate', method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ username, password }) });
      await body.dump();
      if (statusCode === 200) counted.checked += 1;
      else if (statusCode === 503 || statusCode === 504) counted.refused += 1;
      else throw new Error(`a sign-in was answered ${statusCode}`);
      if (counted.checked + counted.refused === 1) process.send!('begun');
      if (statusCode !== 200) await sleep(REFUSED_WAITS_MS);
    }
  };
  const all = Promise.all(Array.from({ length: SIGNING_IN }, async (_, number) => repeatedly(number)));
  process.once('message', () => {
    over = true;
    const seconds = (performance.now() - started) / 1_000;
    const { checked, refused } = counted;
    void all.then(() => process.send!({ checked, refused, seconds }, () => process.disconnect()));
  });
  process.once('disconnect', () => process.exit());
  await all;
}
