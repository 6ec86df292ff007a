/** Plans for a project of which every line is known (fixtures/library). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { library } from './library.testing.ts';
import { planFor } from './plan.ts';
import { report } from './report.ts';
import type { Measured } from './sizes.ts';
import { trafficIn } from './traffic.ts';

const shop = await library();
const unmeasured = { sizes: new Map<string, string>() };

void t.test('what leaves is read off contracts and sources', async (t) => {
  t.equal(
    report(planFor(shop, ['fines'], unmeasured)),
    `What it means that fines leaves

Blockers: none in the sources.

Calls that become remote, from here to others
  none

Calls that become remote, from others to here
  caller  operation    kind           counted  per request  for
  loans   fines.fine   command, once  -        -            POST /api/v1/loans/:id/return (sometimes)
                                                            handling of books.book-lost.v1
  loans   fines.waive  command        -        -            POST /api/v1/loans (afterwards)

The same by request
  request                        remote before its answer  remote afterwards  counted
  POST /api/v1/loans             -                         fines.waive        -
  POST /api/v1/loans/:id/return  fines.fine                -                  -

Operations that are offered, and who may call them
  operation    kind     called by
  fines.fine   command  loans
  fines.waive  command  loans

Events that go out
  none

Events that come in
  none

Tables of fines (no sizes: no database was asked)
  table  rows  size
  fine   -     -

Traffic: none was counted. Name the /metrics of a running shop, or of all its services, with --metrics.

While fines is down (read off the sources; that events and steps of sagas wait is a rule of the kernel)
  answer        route                          because
  503           GET /api/v1/fines              fines answers it
  503 at times  POST /api/v1/loans/:id/return  loans asks fines.fine
  queued        POST /api/v1/books/:id/lose    loans handles books.book-lost.v1 once fines.fine answers
  queued        POST /api/v1/loans             the saga of loans waits for fines.waive
  works         GET /api/v1/books/:id
  works         GET /api/v1/loans
  works         GET /api/v1/loans/:id

Beside requests
  loans: its handling of books.book-lost.v1 waits for fines.fine
  loans: its saga waits for fines.waive

To bear in mind
  fines.fine is not idempotent: where the connection breaks, loans gets OUTCOME_UNKNOWN and it is not repeated
`,
  );
});

void t.test('calls within a group stay where they are', async (t) => {
  const plan = planFor(shop, ['loans', 'fines'], unmeasured);
  t.strictSame(plan.callsIn, []);
  t.strictSame(plan.callsOut.map(({ callee, operation }) => `${callee}.${operation}`), ['books.countBooks', 'books.getBook']);
  t.strictSame(plan.callsInside.map(({ operation }) => operation), ['fine', 'waive']);
  t.strictSame(plan.eventsIn, [{ type: 'books.book-lost.v1', publisher: 'books', subscribers: ['loans.losses'] }]);
  t.match(report(plan), /Calls that stay in the process, within the group\n {2}caller {2}operation/);
  t.strictSame(plan.outage.routes.filter(({ verdict }) => verdict !== '503').map(({ route, verdict, because }) => [route, verdict, because]), [
    ['GET /api/v1/books/:id', 'works', []],
    ['POST /api/v1/books/:id/lose', 'queued', ['books.book-lost.v1 waits for loans']],
  ]);
});

void t.test('a call whose failure is caught degrades the answer, and no more', async (t) => {
  const { outage, callsIn } = planFor(shop, ['books'], unmeasured);
  const answers = Object.fromEntries(outage.routes.map(({ route, verdict }) => [route, verdict]));
  t.match(answers, { 'POST /api/v1/loans': '503', 'GET /api/v1/loans/:id': 'degraded', 'GET /api/v1/loans': 'works' });
  t.strictSame(outage.background, ['loans: seed (work of its own) waits for books.countBooks']);
  t.strictSame(callsIn.find(({ operation }) => operation === 'getBook')?.at, ['modules/loans/loans.ts:6', 'modules/loans/loans.ts:11']);
});

const LOANS = 'modules/loans/loans.ts';
const loans = readFileSync(join(import.meta.dirname, 'fixtures', 'library', LOANS), 'utf8');
const asked = '.catch(() => undefined)';

/** What `GET /loans/:id` is without books, when the service is written in another way. */
const ways: Readonly<Record<string, readonly [verdict: string, text: string]>> = {
  'by a function that throws on': ['503', `${loans.replace(asked, '.catch(unlessGone)')}\nfunction unlessGone(error) { if (error.code !== 'GONE') throw error; }\n`],
  'by a function that does not': ['degraded', `${loans.replace(asked, '.catch(nothing)')}\nconst nothing = () => undefined;\n`],
  'by a function from elsewhere': ['503', `import { nothing } from '#kernel';\n${loans.replace(asked, '.catch(nothing)')}`],
  'by a clause that leaves it to a function that throws': ['503', `${loans.replace('const book = await this.clients.books.getBook({ id }, call).catch(() => undefined);', 'let book; try { book = await this.clients.books.getBook({ id }, call); } catch (error) { rethrow(error); }')}\nfunction rethrow(error) { throw error; }\n`],
  'by a private method that is given it': ['degraded', loans.replace('await this.clients.books.getBook({ id }, call).catch(() => undefined);', 'await this.#orNothing(async () => this.clients.books.getBook({ id }, call));').replace('async #fine', 'async #orNothing(ask) {\n    try {\n      return await ask();\n    } catch {\n      return undefined;\n    }\n  }\n\n  async #fine')],
  'within a field that is a function': ['degraded', loans.replace('async page(id, call) {', 'page = async (id, call) => {').replace('return { id, book };\n  }', 'return { id, book };\n  };')],
};

for (const [how, [verdict, text]] of Object.entries(ways)) {
  void t.test(`a failure that is caught ${how}: ${verdict}`, async (t) => {
    t.not(text, loans);
    const { outage } = planFor(await library({ [LOANS]: text }), ['books'], unmeasured);
    t.match(outage.routes.find(({ route }) => route === 'GET /api/v1/loans/:id'), { verdict });
  });
}

void t.test('events whose ways the sources do not show are named', async (t) => {
  const reactions = "import { on } from '#kernel';\nimport { books as shelf } from '../books/contract.ts';\nexport function reactions(clients) { return [{ name: 'losses', handlers: [on(shelf.events.bookLost, { apply: async () => undefined })] }]; }\n";
  t.strictSame(planFor(await library({ 'modules/loans/reactions.ts': reactions }), ['books'], unmeasured).cautions.filter((line) => line.includes('book-lost')), ['loans handles books.book-lost.v1, but its sources do not show where: what that calls is not in this plan']);
  t.notOk(planFor(shop, ['books'], unmeasured).cautions.some((line) => line.includes('book-lost')));
});

void t.test('a task is told of, also where a request takes the same way', async (t) => {
  const module = readFileSync(join(import.meta.dirname, 'fixtures', 'library', 'modules/loans/module.ts'), 'utf8').replace('sagas: [saga],', "sagas: [saga], tasks: [{ name: 'look-again', everyMs: 1_000, run: async (call) => service.page('x', call) }],");
  const { callsIn, outage } = planFor(await library({ 'modules/loans/module.ts': module }), ['books'], unmeasured);
  t.match(callsIn.find(({ operation }) => operation === 'getBook'), { otherWork: ['look-again'], hasOtherWork: true });
  t.strictSame(outage.background, ['loans: seed (work of its own) waits for books.countBooks'], 'which it does without');
});

void t.test('a saga that a callee sets going waits as well', async (t) => {
  const { entries } = shop.code.get('books')!;
  const saga = { kind: 'saga', name: 'saga', calls: [{ callee: 'fines', operation: 'waive', at: 'modules/books/books.ts:1', caught: false, sometimes: false }], publishes: [], setsSagaGoing: false } as const;
  const books = { module: 'books', entries: [...entries.map((entry) => (entry.name === 'getBook' ? { ...entry, setsSagaGoing: true } : entry)), saga], publishes: [] };
  const { outage, callsIn } = planFor({ ...shop, code: new Map([...shop.code, ['books', books]]) }, ['fines'], unmeasured);
  t.match(outage.routes.find(({ route }) => route === 'GET /api/v1/loans/:id'), { verdict: 'queued', because: ['the saga of books waits for fines.waive'] });
  t.match(callsIn.find(({ caller }) => caller === 'books')?.occasions, [{ route: 'POST /api/v1/loans', when: 'afterwards' }, { route: 'GET /api/v1/loans/:id', when: 'afterwards' }]);
});

void t.test('tables that cannot move are blockers', async (t) => {
  t.strictSame(planFor(shop, ['loans'], unmeasured).blockers, [
    'the table loans.remark has no primary key: its rows cannot be followed while they move',
    'loans.remark takes keys from a sequence: two databases would give the same ones',
  ]);
  const measured: Measured = { tables: [{ schema: 'fines', name: 'fine', rows: 12, isEstimate: false, bytes: 8_192 }, { schema: 'fines_outbox', name: 'inbox', rows: 3, isEstimate: false, bytes: 2_097_152 }], keyless: [], sequences: [], crossing: ['fines.fine → loans.loan'] };
  const plan = planFor(shop, ['fines'], { sizes: new Map([['fines', measured]]) });
  t.strictSame(plan.blockers, ['fines.fine → loans.loan: reaches into another schema'], 'the database is believed, not the migrations');
  t.match(report(plan), /Tables of fines\n {2}table +rows {2}size\n {2}fine +12 +8 KiB\n {2}outbox, inbox, sagas \(fines_outbox, 1 tables\) {2}3 +2\.0 MiB\n/);
});

void t.test('what breaks the rules of modules is a blocker of those that it touches', async (t) => {
  const violation = { rule: 'no-cycles', file: 'modules/loans/module.ts', line: 13, found: 'books → loans → books', legal: '', remedy: '' } as const;
  const broken = { ...shop, violations: [violation] };
  const said = ['modules/loans/module.ts:13  books → loans → books (no-cycles)'];
  t.strictSame(planFor(broken, ['books'], unmeasured).blockers, said);
  t.strictSame(planFor(broken, ['fines'], unmeasured).blockers, []);
});

const pool = (module: string) => `cleave_pool_connections{pool="${module}",state="idle"} 1\n`;
const METRICS = `${pool('loans')}# HELP http_requests_total Requests
http_requests_total{module="loans",method="POST",route="/api/v1/loans",status="201"} 30
http_requests_total{module="loans",method="POST",route="/api/v1/loans",status="503"} 10
http_requests_total{module="loans",method="POST",route="/api/v1/loans/:id/return",status="200"} 60
http_requests_total{module="platform",method="GET",route="/metrics",status="200"} 1000
cleave_operation_duration_seconds_count{module="books",operation="getBook",caller="loans",outcome="ok"} 40
cleave_operation_duration_seconds_count{module="fines",operation="fine",caller="loans",outcome="ok"} 15
cleave_operation_duration_seconds_count{module="fines",operation="waive",caller="loans",outcome="ok"} 29
cleave_operation_duration_seconds_count{module="fines",operation="waive",caller="loans",outcome="UNAVAILABLE"} 16
cleave_operation_duration_seconds_bucket{module="fines",operation="waive",caller="loans",outcome="ok",le="1"} 29
`;

void t.test('counted calls are set against the requests that lead to them', async (t) => {
  const plan = planFor(shop, ['fines'], { ...unmeasured, traffic: trafficIn([METRICS], 'a shop') });
  const measured = Object.fromEntries(plan.callsIn.map(({ operation, measured: count }) => [operation, count]));
  t.strictSame(measured, { fine: { calls: 15, share: 0.15, requests: 60, perRequest: 0.25 }, waive: { calls: 45, share: 0.45, requests: 40, perRequest: 1.125 } });
  t.strictSame(plan.traffic, { source: 'a shop', requests: 100, calls: 100, remoteCalls: 60, share: 0.6, remotePerRequest: 0.6 });
  const text = report(plan);
  t.match(text, 'Traffic: a shop counted 100 requests and 100 calls between modules; 60 of those (60.0 %) would be remote, 0.60 for each request.');
  t.match(text, /loans +fines\.fine +command, once +15 \(15\.0 %\) +at most 0\.25 +POST/, 'events lead to it as well');
  t.match(text, /loans +fines\.waive +command +45 \(45\.0 %\) +1\.13 +POST/);
});

void t.test('several processes are added up, and what the sources do not show is not kept back', async (t) => {
  const other = pool('fines').concat('cleave_operation_duration_seconds_count{module="books",operation="getBook",caller="fines",outcome="ok"} 5\ncleave_operation_duration_seconds_count{module="books",operation="getBook",caller="kernel",outcome="ok"} 500\n');
  const plan = planFor(shop, ['books'], { ...unmeasured, traffic: trafficIn([METRICS, METRICS, other], 'three') });
  t.strictSame(plan.callsIn.map(({ caller, operation, measured }) => [caller, operation, measured?.calls]), [
    ['fines', 'getBook', 5],
    ['loans', 'countBooks', 0],
    ['loans', 'getBook', 80],
  ]);
  t.match(report(plan), /fines +books\.getBook +query +5 \(2\.4 %\) +- +counted, but not found in the sources/);
});

void t.test('what two processes count, both ends of a call or a request, counts once', async (t) => {
  const served = pool('fines').concat('cleave_operation_duration_seconds_count{module="fines",operation="fine",caller="loans",outcome="ok"} 15\ncleave_operation_duration_seconds_count{module="fines",operation="fine",caller="gateway",outcome="ok"} 7\n');
  const gateway = 'http_requests_total{module="loans",method="POST",route="/api/v1/loans",status="201"} 30\n';
  t.strictSame(trafficIn([METRICS, served, gateway], 'all').calls, trafficIn([METRICS], 'all').calls);
  t.strictSame(trafficIn([METRICS, served, gateway], 'all').requests, trafficIn([METRICS], 'all').requests);
});

void t.test('the shape for scripts is kept', async (t) => {
  const plan = JSON.parse(JSON.stringify(planFor(shop, ['fines'], unmeasured))) as Record<string, unknown>;
  t.strictSame(Object.keys(plan), ['version', 'modules', 'callsOut', 'callsIn', 'callsInside', 'requests', 'offers', 'eventsOut', 'eventsIn', 'tables', 'traffic', 'outage', 'blockers', 'cautions']);
  t.strictSame((plan['callsIn'] as object[])[1], {
    caller: 'loans',
    callee: 'fines',
    operation: 'waive',
    kind: 'command',
    repeatable: true,
    deadlineMs: 2_000,
    at: ['modules/loans/reminders.ts:8'],
    otherWork: [],
    occasions: [{ route: 'POST /api/v1/loans', when: 'afterwards', sometimes: false, caught: false }],
    hasOtherWork: false,
    measured: null,
  });
});
