import t from 'tap';
import { Supervision } from './supervision.ts';

const SECOND = 1_000;

/** One that has been up, and died at that time. */
function diedAt(now: number, { upAt }: { upAt: number }, supervision = new Supervision()): Supervision {
  supervision.begin();
  supervision.ready(upAt);
  supervision.ended(now);
  return supervision;
}

void t.test('one that ends before it was ever ready has failed, and is not tried again', async (t) => {
  const supervision = new Supervision();
  t.equal(supervision.begin(), true);
  t.equal(supervision.ended(0), 'failed');
  t.equal(supervision.begin(), false);
  t.equal(supervision.stop(), false, 'there is nothing to wait for');
});

void t.test('one that dies again and again is started after longer and longer pauses', async (t) => {
  const supervision = new Supervision();
  const pauses = Array.from({ length: 9 }, (_, n) => diedAt(n * 5 * SECOND + 1, { upAt: n * 5 * SECOND }, supervision).pauseMs);
  t.strictSame(pauses, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
});

void t.test('also where it does not get ready any more', async (t) => {
  const supervision = diedAt(1, { upAt: 0 });
  t.equal(supervision.begin(), true);
  t.equal(supervision.ended(2), 'pausing', 'it was up once, so it is not given up');
  t.equal(supervision.pauseMs, 1_000);
});

void t.test('after a quiet time the pause is short again', async (t) => {
  const supervision = diedAt(1, { upAt: 0 });
  diedAt(2, { upAt: 1 }, supervision);
  t.equal(diedAt(2 + 29 * SECOND, { upAt: 2 }, supervision).pauseMs, 2_000);
  t.equal(diedAt(100 * SECOND, { upAt: 70 * SECOND }, supervision).pauseMs, 500);
});

void t.test('one that is stopped is not started again, whatever it was doing', async (t) => {
  const idle = new Supervision();
  t.equal(idle.stop(), false);
  t.equal(idle.begin(), false);

  const pausing = diedAt(1, { upAt: 0 });
  t.equal(pausing.stop(), false);
  t.equal(pausing.begin(), false);

  const starting = new Supervision();
  starting.begin();
  t.equal(starting.stop(), true);
  starting.ready(1);
  t.equal(starting.state, 'stopping', 'that it got ready meanwhile does not matter');
  t.equal(starting.ended(2), 'stopped');

  const up = new Supervision();
  up.begin();
  up.ready(0);
  t.equal(up.begin(), false, 'it runs already');
  t.equal(up.stop(), true);
  t.equal(up.stop(), true, 'it has not ended yet');
  t.equal(up.ended(1), 'stopped');
});
