/** The one layer that repeats questions to the gateway: time-out per try, few tries, jitter between them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { GatewayFailure } from './gateway.ts';

export interface Patience {
  readonly tries: number;
  /** Milliseconds per try. */
  readonly timeoutMs: number;
  /** Epoch milliseconds after which no try begins and none goes on. */
  readonly until: number;
}

const BASE_PAUSE_MS = 100;

/** Of one question with all its tries. */
export function gatewaySpan(question: string) {
  return { name: `gateway ${question}`, kind: 'client', attributes: { 'cleave.module': 'payments', 'cleave.gateway.question': question } } as const;
}

/** Milliseconds before the next try after `failed` tries: doubles; half of it is left to chance. */
export function pauseBeforeRetry(failed: number, chance: number): number {
  return BASE_PAUSE_MS * 2 ** (failed - 1) * (0.5 + chance / 2);
}

/** @throws GatewayFailure when the last try failed or time is up */
export async function askGateway<T>(ask: (signal: AbortSignal) => Promise<T>, patience: Patience): Promise<T> {
  for (let tried = 1; ; tried += 1) {
    try {
      return await within(ask, Math.min(patience.timeoutMs, patience.until - Date.now()));
    } catch (error) {
      const pause = pauseBeforeRetry(tried, Math.random());
      if (tried >= patience.tries || Date.now() + pause >= patience.until) throw error;
      await sleep(pause);
    }
  }
}

/** Any error of an adapter means the same to us: we do not know what the processor did. */
function within<T>(ask: (signal: AbortSignal) => Promise<T>, ms: number): Promise<T> {
  if (ms <= 0) return Promise.reject(new GatewayFailure('no time is left to ask the card processor'));
  const controller = new AbortController();
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new GatewayFailure(`the card processor did not answer within ${ms} ms`));
      controller.abort();
    }, ms);
    ask(controller.signal)
      .then(resolve, (error: unknown) => reject(failure(error)))
      .finally(() => clearTimeout(timer));
  });
}

function failure(error: unknown): GatewayFailure {
  return error instanceof GatewayFailure ? error : new GatewayFailure('the card processor broke down', { cause: error });
}
