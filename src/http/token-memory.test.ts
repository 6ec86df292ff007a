import t from 'tap';
import { TokenMemory } from './token-memory.ts';

const bearer = { actor: { id: 'u', role: 'customer' }, generation: 0 } as const;
const later = () => Date.now() + 60_000;

t.test('a token is recalled until it expires', async (t) => {
  const memory = new TokenMemory(10);
  memory.remember('fresh', bearer, later());
  memory.remember('stale', bearer, Date.now());
  t.match(memory.recall('fresh'), bearer);
  t.equal(memory.recall('stale'), undefined);
  t.equal(memory.recall('unknown'), undefined);
});

t.test('what is presented stays, what is not goes, and the memory is bounded', async (t) => {
  const memory = new TokenMemory(100);
  memory.remember('regular', bearer, later());
  let recalled = 0;
  for (let i = 0; i < 10_000; i++) {
    memory.remember(`once-${i}`, bearer, later());
    if (memory.recall('regular')) recalled += 1;
  }
  t.equal(recalled, 10_000);
  const kept = Array.from({ length: 10_000 }, (_, i) => memory.recall(`once-${i}`)).filter(Boolean);
  t.ok(kept.length > 0 && kept.length <= 200, `${kept.length} of 10,000 are kept`);
});

t.test('all can be forgotten', async (t) => {
  const memory = new TokenMemory(10);
  memory.remember('a', bearer, later());
  memory.forgetAll();
  t.equal(memory.recall('a'), undefined);
});
