/**
 * Open loop: each request is sent when it is due, whatever became of those before, as customers do who do not know of each
 * other. What waits counts as waiting.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Request } from 'autocannon';
import { Pool } from 'undici';
import { quantile } from './figures.ts';

export interface Answer {
  readonly status: number;
  /** Milliseconds since the start of the load. */
  readonly atMs: number;
  /** Milliseconds from the moment when the request was due. */
  readonly ms: number;
  /** Of these how many the load generator was late. */
  readonly lateMs: number;
  readonly retryAfter: boolean;
}

export interface Times {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface OpenLoop {
  /** @returns the answers to all that was due within the time, when the last has come */
  send(requests: readonly Request[], perSecond: number, seconds: number): Promise<Answer[]>;
  close(): Promise<void>;
}

/** More customers than this at a time would wait for a connection of the load generator, not for the shop. */
const CONNECTIONS = 1_000;

export function openLoop(url: string): OpenLoop {
  const pool = new Pool(url, { connections: CONNECTIONS });
  return {
    async send(requests, perSecond, seconds) {
      const started = performance.now();
      const answers: Promise<Answer>[] = [];
      const count = Math.floor(perSecond * seconds);
      while (answers.length < count) {
        const dueByNow = Math.min(count, Math.ceil(((performance.now() - started) * perSecond) / 1_000));
        while (answers.length < dueByNow) answers.push(answerTo(pool, requests[answers.length % requests.length]!, started, (answers.length * 1_000) / perSecond));
        await sleep(1);
      }
      return Promise.all(answers);
    },
    close: async () => pool.close(),
  };
}

/** @throws Error when one was answered with anything but 2xx */
export function timesOf(answers: readonly Answer[]): Times {
  const wrong = answers.find((answer) => !isDone(answer));
  if (wrong) throw new Error(`a request was answered ${wrong.status}`);
  return waits(answers);
}

/** It was turned away, and told when to come again. */
export function isRefused({ status, retryAfter }: Answer): boolean {
  return status === 503 && retryAfter;
}

/** Answered with 2xx. */
export function isDone({ status }: Answer): boolean {
  return status >= 200 && status <= 299;
}

export function waits(answers: readonly Answer[], of: 'ms' | 'lateMs' = 'ms'): Times {
  const all = answers.map((answer) => answer[of]);
  return { p50: quantile(all, 0.5), p99: quantile(all, 0.99), p999: quantile(all, 0.999), max: quantile(all, 1) };
}

/** Medians over the rounds, and the longest wait of all. */
export function timesOfRounds(rounds: readonly Times[]): Times {
  const median = (of: 'p50' | 'p99' | 'p999'): number => quantile(rounds.map((round) => round[of]), 0.5);
  return { p50: median('p50'), p99: median('p99'), p999: median('p999'), max: Math.max(...rounds.map(({ max }) => max)) };
}

/** Below undici's streams and promises, which would take more of the machine than what they measure can spare. */
function answerTo(pool: Pool, { path, method, headers, body }: Request, started: number, dueMs: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let status = 0;
    let retryAfter = false;
    const lateMs = performance.now() - started - dueMs;
    pool.dispatch(
      { path: path!, method: method as 'GET' | 'POST', headers: { ...headers }, body: (body as string | undefined) ?? null },
      {
        // Asked for, whatever the types say.
        onRequestStart: () => undefined,
        onResponseData: () => undefined,
        onResponseStart(_, code, fields) {
          status = code;
          retryAfter = fields['retry-after'] !== undefined;
        },
        onResponseEnd() {
          const atMs = performance.now() - started;
          resolve({ status, atMs, ms: atMs - dueMs, lateMs, retryAfter });
        },
        onResponseError: (_, error) => reject(error),
      },
    );
  });
}
