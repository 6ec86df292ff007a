import t from 'tap';
import { Register } from './register.ts';

const record = { service: 'payments', modules: ['payments'], public: 'http://127.0.0.1:8150', internal: 'http://127.0.0.1:9150' };

function register(): { register: Register; changes: () => number; listed: () => string[] } {
  let changes = 0;
  const made = new Register(0, () => (changes += 1));
  return { register: made, changes: () => changes, listed: () => Object.keys(made.listing().replicas) };
}

/** Looks at the time twice a second, as it is done; `beating` lives. */
function pass(register: Register, from: number, to: number, beating?: string): void {
  for (let now = from + 500; now <= to; now += 500) {
    if (beating) register.heartbeat(beating, record, now);
    register.passTime(now);
  }
}

void t.test('a replica is listed once it has been found ready', async (t) => {
  const { register: made, changes, listed } = register();
  t.equal(made.heartbeat('a', record, 0), true, 'it is new');
  t.strictSame(listed(), []);
  made.found('a', 'refused');
  t.equal(changes(), 0);
  made.found('a', 'ready');
  t.strictSame(listed(), ['a']);
  made.found('a', 'ready');
  t.equal(made.heartbeat('a', record, 1), false);
  t.equal(changes(), 1, 'nothing else has changed');
});

void t.test('one that refuses is out at once; one that is silent the second time', async (t) => {
  const { register: made, listed } = register();
  made.heartbeat('a', record, 0);
  made.found('a', 'ready');
  made.found('a', 'silent');
  t.strictSame(listed(), ['a']);
  made.found('a', 'ready');
  made.found('a', 'silent');
  t.strictSame(listed(), ['a'], 'the silences were not one after the other');
  made.found('a', 'silent');
  t.strictSame(listed(), []);
  made.found('a', 'silent');
  made.found('a', 'ready');
  t.strictSame(listed(), ['a']);
  made.found('a', 'refused');
  t.strictSame(listed(), []);
  made.found('a', 'silent');
  t.strictSame(listed(), [], 'silence does not bring it back');
});

void t.test('one without a heartbeat is forgotten, and a look at it that comes late finds nobody', async (t) => {
  const { register: made, listed, changes } = register();
  made.heartbeat('a', record, 0);
  made.found('a', 'ready');
  pass(made, 0, 3_000);
  made.heartbeat('a', record, 3_000);
  pass(made, 3_000, 8_000);
  t.strictSame(listed(), ['a']);
  made.passTime(8_001);
  t.strictSame(listed(), []);
  const before = changes();
  made.found('a', 'ready');
  t.strictSame([listed(), changes()], [[], before]);
});

void t.test('while the register itself stands still nobody is forgotten: their heartbeats may lie unread', async (t) => {
  const { register: made, listed } = register();
  made.heartbeat('a', record, 0);
  made.found('a', 'ready');
  pass(made, 0, 6_000, 'a');
  t.equal(made.listing().settling, false);
  made.passTime(60_000);
  t.strictSame(listed(), ['a']);
  pass(made, 60_000, 66_000);
  t.strictSame(listed(), [], 'but then it has its time, and no more');
});

void t.test('another record under the same name is another replica', async (t) => {
  const { register: made, listed } = register();
  made.heartbeat('a', record, 0);
  made.found('a', 'ready');
  t.equal(made.heartbeat('a', { ...record, public: 'http://127.0.0.1:8151' }, 1), true);
  t.strictSame(listed(), [], 'it has to be found ready anew');
});

void t.test('it settles when every replica has had the time to be heard, and tells so', async (t) => {
  const { register: made, changes } = register();
  const before = made.version;
  pass(made, 0, 4_500);
  t.equal(made.listing().settling, true);
  pass(made, 4_500, 5_500);
  t.equal(made.listing().settling, false);
  t.equal(changes(), 1);
  t.not(made.version, before);
  made.passTime(20_000);
  t.equal(changes(), 1);
});

void t.test('no two registers have a version in common', async (t) => {
  t.not(register().register.version, register().register.version);
});
