/**
 * `kill -9` of the shop's process at random moments, also while it starts, while customers trade: what was acknowledged
 * stays, happens once, and has its events.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Journal } from './journal.testing.ts';
import type { Place } from './places.testing.ts';
import { type Result, spread } from './result.testing.ts';
import { duringTrade, type Harm, type Ordeal } from './trade.testing.ts';

export interface KillOptions extends Place {
  readonly kills: number;
  readonly seed: number;
  readonly clients: number;
  progress(line: string): void;
}

/** Of the kills so many meet a process that has not come up yet. */
const DURING_START = 0.15;
const START_MS = 1_000;
/** How long a process that has come up may live. */
const LIFE_MS = { least: 50, most: 2_000 };
const RETELL_EVERY = 25;

export async function kill({ kills, adminUrl, rolePrefix, ...options }: KillOptions): Promise<Result & { journal: Journal }> {
  return duringTrade({ ...options, harms: kills, adminUrl, settings: { DATABASE_URL: adminUrl, DATABASE_ROLE_PREFIX: rolePrefix } }, async (ordeal) => murders(ordeal, kills));
}

async function murders({ shop, random, journal, progress }: Ordeal, kills: number): Promise<Harm> {
  const starts: number[] = [];
  for (let n = 1; n <= kills; n += 1) {
    if (n > 1 && random.chance(DURING_START)) await sleep(random.between(0, START_MS));
    else {
      await shop.life.up;
      await sleep(random.between(LIFE_MS.least, LIFE_MS.most));
    }
    const how = await shop.life.kill('SIGKILL');
    if (how !== 'SIGKILL') journal.complain(`the process ended with ${how} before it was killed`);
    const life = shop.launch();
    life.up.then((took) => starts.push(took), () => undefined);
    if (n % RETELL_EVERY === 0) progress(`${n} of ${kills} kills; acknowledged: ${journal.summary}`);
  }
  await shop.life.up;
  return { findings: [], figures: [`${kills} kills`, spread('from launch to up', starts)] };
}
