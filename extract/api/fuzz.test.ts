/** The short form of `npm run torture -- fuzz`; FUZZ_RUNS (requests to each route) and FUZZ_SEED make it go further or elsewhere. */
import fc from 'fast-check';
import t from 'tap';
import { testShop } from '#testing';
import { fuzz, fuzzSettings, routeFinding } from './fuzz.testing.ts';
import type { MadeUp } from './requests.testing.ts';

const cases = Number(process.env['FUZZ_RUNS'] ?? 40);
const seed = Number(process.env['FUZZ_SEED'] ?? 20_261_123);
t.setTimeout(process.env['FUZZ_RUNS'] ? 0 : 240_000);

t.test('whatever comes to a route, it answers as declared', { timeout: 0 }, async (t) => {
  const { findings } = await fuzz(await testShop(t, { settings: fuzzSettings }), { cases, seed, progress: (line) => t.comment(line) });
  for (const { claim, violations } of findings) t.strictSame(violations, [], claim);
});

const requests = fc.integer({ min: 1, max: 9 }).map((n): MadeUp => ({ caller: 'owner', method: 'GET', url: `/${n}`, headers: {}, body: undefined }));

t.test('what is not answered as declared is told of, with the request that it came to', async (t) => {
  const complaints = async ({ url }: MadeUp) => (url === '/7' ? ['it leaks'] : []);
  const { violations } = await routeFinding('GET /{n}', requests, complaints, { cases: 200, seed, limitMs: 30_000 });
  t.match(violations, [/^it leaks to .*"url":"\/7"/]);
  t.equal(violations.length, 1);
});

t.test('a run that was broken off shows nothing', async (t) => {
  const never = async () => new Promise<string[]>(() => undefined);
  const { violations } = await routeFinding('GET /{n}', requests, never, { cases: 200, seed, limitMs: 50 });
  t.match(violations, [/^only \d of 200 requests were answered/]);
  t.same((await routeFinding('GET /{n}', requests, async () => [], { cases: 200, seed, limitMs: 30_000 })).violations, []);
});
