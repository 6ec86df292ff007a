/** One owner at a time, whatever happens to its connection. */
import { createServer, connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { pino } from 'pino';
import t from 'tap';
import { emptyDatabase } from '../testing/database.ts';
import { type Ownable, Ownership } from './ownership.ts';

const database = await emptyDatabase();
t.teardown(async () => database.drop());
const log = pino({ level: 'silent' });
const OWNERS = `from pg_stat_activity where datname = current_database() and application_name = 'cleave:owner'`;
const KILL = `select pg_terminate_backend(pid) ${OWNERS}`;
/** Also for a machine that is busy with something else; an owner that is not answered in time lets go. */
const ANSWER_MS = 1_500;

/** Work that writes down when it is begun and ended. */
function recorded(story: string[], name: string, module = 'm'): Ownable {
  return { module, start: async () => void story.push(`${name} starts`), stop: async () => void story.push(`${name} stops`) };
}

function ownership(url: string, ...ownables: Ownable[]): Ownership {
  return new Ownership({ url, ownables, log, retryMs: 20, answerMs: ANSWER_MS });
}

async function until(check: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!check()) {
    if (Date.now() > deadline) throw new Error('waited 10 s in vain');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function administer<Row extends pg.QueryResultRow>(sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: database.adminUrl });
  await client.connect();
  const { rows } = await client.query<Row>(sql);
  await client.end();
  return rows;
}

t.test('whoever comes second waits until the first one leaves', async (t) => {
  const story: string[] = [];
  const [first, second] = [ownership(database.adminUrl, recorded(story, 'first')), ownership(database.adminUrl, recorded(story, 'second'))];
  await first.start();
  await second.start();
  t.ok(first.owns('m') && !second.owns('m'));
  await first.stop();
  await until(() => second.owns('m'));
  await second.stop();
  t.strictSame(story, ['first starts', 'first stops', 'second starts', 'second stops']);
});

t.test('a module that does not start keeps no other one from being owned, and is tried again', async (t) => {
  const story: string[] = [];
  let isBroken = true;
  const sick: Ownable = { ...recorded(story, 'sick', 'sick'), async start() {
      if (isBroken) throw new Error('not yet');
      story.push('sick starts');
    } };
  const owner = ownership(database.adminUrl, sick, recorded(story, 'well', 'well'));
  await owner.start();
  t.same([owner.owns('sick'), owner.owns('well')], [false, true]);
  isBroken = false;
  await until(() => owner.owns('sick'));
  await owner.stop();
  t.same(story.slice(0, 2), ['well starts', 'sick starts']);
});

t.test('an owner whose connection is cut stops its work and takes it up again', async (t) => {
  const story: string[] = [];
  const owner = ownership(database.adminUrl, recorded(story, 'owner'));
  await owner.start();
  await administer(KILL);
  await until(() => story.length === 3);
  t.strictSame(story, ['owner starts', 'owner stops', 'owner starts']);
  await owner.stop();
});

t.test('an owner whose connection goes silent stops its work, though nobody tells it', async (t) => {
  const story: string[] = [];
  const wire = await silentWire(new URL(database.adminUrl));
  t.teardown(() => wire.close());
  const owner = ownership(wire.url, recorded(story, 'owner'));
  await owner.start();
  const [session] = await administer<{ pid: number }>(`select pid ${OWNERS}`);
  wire.silence();
  await until(() => story.includes('owner stops'));
  wire.restore();
  // The server ends a session that it cannot reach in its own time; here it is told to, of this one and not of the next.
  await administer(`select pg_terminate_backend(${session!.pid})`);
  await until(() => story.length === 3);
  t.strictSame(story, ['owner starts', 'owner stops', 'owner starts']);
  await owner.stop();
});

t.test('an owner of some modules, whose connection goes silent while it waits for the others, stops its work as well', async (t) => {
  const story: string[] = [];
  const wire = await silentWire(new URL(database.adminUrl));
  t.teardown(() => wire.close());
  const other = ownership(database.adminUrl, recorded([], 'other', 'n'));
  await other.start();
  const owner = ownership(wire.url, recorded(story, 'owner'), recorded(story, 'owner of n', 'n'));
  await owner.start();
  wire.silence();
  await until(() => story.includes('owner stops'));
  t.strictSame(story, ['owner starts', 'owner stops']);
  wire.restore();
  await owner.stop();
  await other.stop();
  await administer(KILL);
});

t.test('one that waits, and whose connection went silent meanwhile, takes over all the same', async (t) => {
  const story: string[] = [];
  const wire = await silentWire(new URL(database.adminUrl));
  t.teardown(() => wire.close());
  const owner = ownership(database.adminUrl, recorded(story, 'owner'));
  await owner.start();
  const waiting = ownership(wire.url, recorded(story, 'successor'));
  await waiting.start();
  wire.silence();
  await sleep(2 * ANSWER_MS);
  wire.restore();
  await owner.stop();
  await until(() => waiting.owns('m'));
  t.strictSame(story, ['owner starts', 'owner stops', 'successor starts']);
  await waiting.stop();
});

t.test('a connection that is lost while the work is being begun ends it only after it has begun', async (t) => {
  const story: string[] = [];
  const work = recorded(story, 'owner');
  let losses = 1;
  const owner = ownership(database.adminUrl, {
    ...work,
    async start() {
      story.push('owner begins');
      if (losses-- > 0) {
        await administer(KILL);
        // Long enough for the end of the connection to arrive, were it to be acted on at once.
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      await work.start();
    },
  });
  await owner.start();
  await until(() => story.length === 5);
  t.strictSame(story, ['owner begins', 'owner starts', 'owner stops', 'owner begins', 'owner starts']);
  await owner.stop();
});

/** A line to the database that can go dead without either end being told. */
async function silentWire(target: URL) {
  const sockets = new Set<Socket>();
  let silent = false;
  const server = createServer((near) => {
    const far = connect(Number(target.port || 5432), target.hostname);
    for (const [from, to] of [[near, far], [far, near]] as const) {
      sockets.add(from);
      from.on('data', (data) => void (silent || to.write(data)));
      from.on('error', () => undefined);
      from.on('close', () => void (silent || to.destroy()));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(target);
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as { port: number }).port);
  return {
    url: url.href,
    silence: () => void (silent = true),
    restore: () => void (silent = false),
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
