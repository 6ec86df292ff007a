/** What the gateway takes for a request, beside a bare proxy in front of the same shop. */
import { compare, type Comparison, type Contender } from './compare.ts';
import { Backlog } from './backlog.ts';
import type { Options } from './options.ts';
import { scenarios } from './scenarios.ts';
import { type Stage, startShop } from './shop.ts';
import { startSide } from './side.ts';

export async function gatewayCost(stage: Stage, { rounds, seconds, warmUp, profile }: Options, progress: (line: string) => void): Promise<Comparison> {
  const databaseUrl = await stage.database('gateway');
  const shop = await startShop(stage.settings(databaseUrl));
  // It counts against a limit that nobody reaches.
  const env = { ...stage.settings(databaseUrl), RATE_LIMIT_PER_MINUTE: '1000000', UPSTREAM: shop.url };
  const sides = await Promise.all(['gateway-side', 'bare-proxy'].map(async (name) => startSide({ name, script: `extract/bench/${name}.ts`, env, profile })));
  const backlog = await Backlog.open(databaseUrl);
  const [gateway, proxy] = sides.map((side): Contender => ({ side, backlog })) as [Contender, Contender];
  const scenario = { ...scenarios.find(({ part }) => part === 'product')!, title: 'GET /products/{id} through a gateway' };
  const signedIn = scenario.requests(stage).map((requests, n) => requests.map((request) => ({ ...request, headers: { authorization: `Bearer ${stage.tokens[n % stage.tokens.length]!}` } })));
  const comparison = await compare(gateway, proxy, { scenario, requests: signedIn, rounds, seconds, warmUp, prepare: async () => undefined, progress });
  await backlog.close();
  for (const side of [...sides, shop]) await side.stop();
  return comparison;
}
