/**
 * The database server of a living shop is killed or stopped at once, again and again, while customers trade. It is the one
 * that the shop has brought along, so the shop itself has to bring it back.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { chmod, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbedded } from '../../src/database/embedded/embedded.ts';
import { readPostmaster } from '../../src/database/embedded/postmaster.ts';
import { alsoOnSignal } from '../bench/also-on-signal.ts';
import { courseOf, isAlive, RECOVERED_MS, recovered } from './backends.testing.ts';
import type { Pulse } from './customers.testing.ts';
import type { Journal } from './journal.testing.ts';
import { holds, type Result, spread } from './result.testing.ts';
import { duringTrade, type Harm, type Ordeal } from './trade.testing.ts';

export interface ServerOptions {
  readonly kills: number;
  readonly seed: number;
  readonly clients: number;
  /** Within this time after the server is back a customer is served again; default: 5 s. */
  readonly recoveredMs?: number;
  progress(line: string): void;
}

/** `kill -9` of the postmaster, and PostgreSQL's immediate shutdown; both need recovery at the next start. */
const SIGNALS = ['SIGQUIT', 'SIGKILL'] as const;
const CALM_MS = { least: 200, most: 2_500 };
const LOOK_EVERY_MS = 10;
const PATIENCE_MS = 60_000;

export async function server({ kills, recoveredMs = RECOVERED_MS, ...options }: ServerOptions): Promise<Result & { journal: Journal }> {
  const folder = await mkdtemp(join(tmpdir(), 'cleave-torture-'));
  // Where we are root, the database runs as another user, who must get in.
  await chmod(folder, 0o755);
  const dataDir = join(folder, 'data');
  // Not kept running from here: that is for the shop to do.
  const embedded = await startEmbedded({ dataDir });
  const stop = alsoOnSignal(async () => {
    await embedded.stop();
    await rm(folder, { recursive: true, force: true });
  });
  try {
    const data = join(await realpath(join(dataDir, 'postgres')), 'data');
    return await duringTrade({ ...options, harms: kills, adminUrl: embedded.url, settings: { DATA_DIR: dataDir } }, async (ordeal) => murders(ordeal, { kills, recoveredMs, data }));
  } finally {
    await stop();
  }
}

async function murders(ordeal: Ordeal, { kills, recoveredMs, data }: { kills: number; recoveredMs: number; data: string }): Promise<Harm> {
  const { shop, customers, journal, random, answers, progress } = ordeal;
  const outages: number[] = [];
  const pulses: Pulse[] = [];
  for (let n = 1; n <= kills; n += 1) {
    await sleep(random.between(CALM_MS.least, CALM_MS.most));
    outages.push(await killServer(ordeal, data, SIGNALS[(n - 1) % 2]!));
    const pulse = await customers.pulse();
    pulses.push(pulse);
    progress(`${n} of ${kills} kills; away for ${outages.at(-1)!.toFixed()} ms, an order confirmed ${pulse.confirmed.toFixed()} ms after; ${answers.unavailable} times 503; acknowledged: ${journal.summary}`);
  }
  return {
    findings: [
      ...recovered(pulses, recoveredMs),
      holds('clients noticed, and were told to come later', answers.unavailable >= kills, `503 was answered ${answers.unavailable} times`),
      holds('the shop was not restarted, and answered every request', (await isAlive(shop.life)) && answers.none === 0, `${answers.none} requests were not answered`),
    ],
    figures: [`${kills} kills, ${Math.ceil(kills / 2)} of them an immediate shutdown; ${answers.unavailable} times 503`, spread('from a kill until the server accepted connections again', outages), ...courseOf(pulses)],
  };
}

/** @returns milliseconds until a server accepts connections again */
async function killServer({ books }: Ordeal, data: string, signal: NodeJS.Signals): Promise<number> {
  const { pid } = readPostmaster(data)!;
  process.kill(pid, signal);
  const killedAt = performance.now();
  for (;;) {
    const now = readPostmaster(data);
    if (now && now.pid !== pid && now.status === 'ready' && (await books.rows('select 1').then(() => true, () => false))) return performance.now() - killedAt;
    if (performance.now() - killedAt > PATIENCE_MS) throw new Error(`the server was not back ${PATIENCE_MS / 1_000} s after ${signal}`);
    await sleep(LOOK_EVERY_MS);
  }
}
