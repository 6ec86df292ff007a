/** A day of trade during which harm is done: the same before and after, whatever the harm. */
import { Api, type Outcome } from './api.testing.ts';
import { audit } from './audit.testing.ts';
import { Books } from './books.testing.ts';
import { Customers } from './customers.testing.ts';
import { Journal } from './journal.testing.ts';
import { Random } from './random.testing.ts';
import { administrator, impatient, RealShop } from './real-shop.testing.ts';
import { type Finding, holds, type Result } from './result.testing.ts';
import { setStage } from './stage.testing.ts';

export interface TradeOptions {
  readonly seed: number;
  readonly clients: number;
  /** Superuser of the shop's database. */
  readonly adminUrl: string;
  /** Settings of the shop. */
  readonly settings: Readonly<Record<string, string>>;
  /** How often harm is done: so many orders must be acknowledged meanwhile at least, and of everything else something where it is often. */
  readonly harms: number;
  progress(line: string): void;
}

/** From so many harms on there is time for whatever customers do. */
const OFTEN = 20;

export interface Ordeal {
  readonly shop: RealShop;
  readonly customers: Customers;
  readonly journal: Journal;
  readonly books: Books;
  readonly random: Random;
  readonly answers: Answers;
  progress(line: string): void;
}

/** What clients were answered, counted. */
export interface Answers {
  unavailable: number;
  /** Requests that got no answer. */
  none: number;
}

/** What the harm itself has shown. */
export interface Harm {
  readonly findings: readonly Finding[];
  readonly figures: readonly string[];
}

/** The shop is up when the harm begins, and has to be when it ends. */
export async function duringTrade(options: TradeOptions, harm: (ordeal: Ordeal) => Promise<Harm>): Promise<Result & { journal: Journal }> {
  const { seed, clients, adminUrl, settings, harms, progress } = options;
  const random = new Random(seed);
  const journal = new Journal();
  const answers: Answers = { unavailable: 0, none: 0 };
  const shop = await RealShop.prepare({ settings: { ...impatient, ...settings } });
  const api = new Api({ url: shop.url, complain: (complaint) => journal.complain(complaint), heard: (_, outcome) => count(answers, outcome) });
  const books = new Books(adminUrl);
  try {
    await shop.launch().up;
    const stage = await setStage(api, administrator);
    const customers = new Customers({ api, stage, journal, random: random.branch(), clients, restMs: 20 });
    const { findings, figures } = await harm({ shop, customers, journal, books, random, answers, progress });
    await customers.goHome();
    progress(`acknowledged: ${journal.summary}; ${journal.unknown} more may have happened. Waiting for the shop to come to rest …`);
    const rest: Finding = { claim: 'the shop came to rest by itself', violations: await books.untilAtRest() };
    const audited = await audit(books, journal, stage);
    const end = await shop.life.kill('SIGTERM');
    const ended = holds('the shop ended when it was asked to', end === '0', `it ended with ${end}`);
    return { findings: [...findings, somethingToLose(journal, harms), rest, ...audited, ended], figures: [`acknowledged: ${journal.summary}; ${journal.unknown} wishes without an answer`, ...figures], journal };
  } finally {
    await shop.end();
    await books.close();
  }
}

/** A shop that grants nothing loses nothing. */
function somethingToLose({ acknowledged, summary }: Journal, harms: number): Finding {
  const isMuch = acknowledged.orders >= harms && (harms < OFTEN || Object.values(acknowledged).every((n) => n > 0));
  return holds('there was something to lose, of everything that customers do', isMuch, `acknowledged were ${summary}`);
}

function count(answers: Answers, outcome: Outcome): void {
  if (typeof outcome === 'string') answers.none += 1;
  else if (outcome.status === 503) answers.unavailable += 1;
}
