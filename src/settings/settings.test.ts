import { Type } from '@sinclair/typebox';
import t from 'tap';
import { OneOf } from '../contract/schemas.ts';
import { editDistance, nearMiss } from './near-miss.ts';
import { checkSettings, describeSettings, Duration, kernelSettings, readSettings } from './settings.ts';

const schema = Type.Object({
  WORKERS: Type.Integer({ default: 4, minimum: 1, maximum: 64, description: 'How many | at once.' }),
  FAILURE_RATE: Type.Number({ default: 0, minimum: 0, maximum: 1 }),
  GREETINGS: Type.Boolean({ default: true }),
  PAYMENT_TIMEOUT: Duration({ default: 1_800_000, minimum: 1_000 }),
  COLOUR: OneOf(['red', 'green'], { default: 'red' }),
  HOSTS: Type.Optional(Type.Array(Type.String({ minLength: 1 }))),
  SMTP_URL: Type.Optional(Type.String({ format: 'url', protocols: ['smtp', 'smtps'], examples: ['smtp://localhost:1025'] })),
  SIGNING_SECRET: Type.String({ minLength: 12, secret: true }),
});

const SECRET = { SIGNING_SECRET: 'a long enough one' };

t.test('texts of the environment become values of the types that the schema names', async (t) => {
  const { value } = readSettings(schema, {
    WORKERS: '8',
    FAILURE_RATE: '0.25',
    GREETINGS: '0',
    PAYMENT_TIMEOUT: '2m',
    COLOUR: 'green',
    HOSTS: 'a, b',
    SMTP_URL: 'smtp://mail:25',
    ...SECRET,
    UNRELATED: 'ignored',
  });
  t.same(value, {
    WORKERS: 8,
    FAILURE_RATE: 0.25,
    GREETINGS: false,
    PAYMENT_TIMEOUT: 120_000,
    COLOUR: 'green',
    HOSTS: ['a', 'b'],
    SMTP_URL: 'smtp://mail:25',
    ...SECRET,
  });
});

t.test('what is absent or empty takes its default', async (t) => {
  t.same(readSettings(schema, { ...SECRET, WORKERS: '', SMTP_URL: ' ' }).value, {
    WORKERS: 4,
    FAILURE_RATE: 0,
    GREETINGS: true,
    PAYMENT_TIMEOUT: 1_800_000,
    COLOUR: 'red',
    ...SECRET,
  });
});

t.test('each bad setting gets one sentence that says what was given, what is expected and an example', async (t) => {
  const { problems } = readSettings(schema, {
    WORKERS: '8.5',
    FAILURE_RATE: '2',
    GREETINGS: 'yes please',
    PAYMENT_TIMEOUT: 'soon',
    COLOUR: 'blue',
    SMTP_URL: 'http://mail',
  });
  t.same(problems, [
    'WORKERS is "8.5": it must be a whole number from 1 to 64, for example WORKERS=4.',
    'FAILURE_RATE is "2": it must be a number from 0 to 1, for example FAILURE_RATE=0.',
    'GREETINGS is "yes please": it must be true or false, for example GREETINGS=true.',
    'PAYMENT_TIMEOUT is "soon": it must be a duration such as 500ms, 30s, 30m or 24h of at least 1s, for example PAYMENT_TIMEOUT=30m.',
    'COLOUR is "blue": it must be one of red, green, for example COLOUR=red.',
    'SMTP_URL is "http://mail": it must be a URL that begins with smtp:// or smtps://, for example SMTP_URL=smtp://localhost:1025.',
    'SIGNING_SECRET is not set: it must be text of at least 12 characters.',
  ]);
});

t.test('a secret that does not fit is not printed', async (t) => {
  const { problems } = readSettings(schema, { SIGNING_SECRET: 'hunter2' });
  t.same(problems, ['SIGNING_SECRET has a value (not shown) that does not fit: it must be text of at least 12 characters.']);
  t.notMatch(readSettings(kernelSettings, { DATABASE_URL: 'mysql://me:hunter2@host/db' }).problems!.join(), 'hunter2');
});

t.test('a setting may have a rule of its own, and settings may contradict each other', async (t) => {
  const pair = Type.Object(
    { FIRST: Type.String({ complaint: (text: string) => (text === 'odd' ? 'is odd' : undefined) }), SECOND: Type.Optional(Type.String()) },
    { contradictions: ({ FIRST, SECOND }: { FIRST: string; SECOND?: string }) => (FIRST === SECOND ? ['FIRST and SECOND are the same.'] : []) },
  );
  t.same(readSettings(pair, { FIRST: 'odd', SECOND: 'odd' }).problems, ['FIRST is odd.']);
  t.same(readSettings(pair, { FIRST: 'even', SECOND: 'even' }).problems, ['FIRST and SECOND are the same.']);
  t.same(readSettings(pair, { FIRST: 'even' }).value, { FIRST: 'even' });
});

t.test('roles do not take a name that PostgreSQL keeps for itself', async (t) => {
  const { problems } = readSettings(kernelSettings, { DATABASE_ROLE_PREFIX: 'pg_' });
  t.equal(problems?.length, 1);
  t.match(problems, [/^DATABASE_ROLE_PREFIX is "pg_": .* not pg_/]);
  t.equal(readSettings(kernelSettings, { DATABASE_ROLE_PREFIX: 'pg' }).value?.DATABASE_ROLE_PREFIX, 'pg');
});

t.test('durations are whole milliseconds or a number with a unit', async (t) => {
  const read = (text: string) => readSettings(Type.Object({ TTL: Duration() }), { TTL: text }).value?.TTL;
  t.same(
    ['250', '250ms', '1.5s', '30m', '30 min', '24h', '7d'].map(read),
    [250, 250, 1_500, 1_800_000, 1_800_000, 86_400_000, 604_800_000],
  );
  t.same(['-1s', '1 week', '0.5ms', '', '1e3'].map(read), Array(5).fill(undefined));
});

t.test('the settings of all owners are checked at once, and a likely misspelling is pointed out', async (t) => {
  const check = checkSettings({ kernel: kernelSettings, mail: schema }, { PORT: '80a', COLOUR: 'blue', DATABSE_URL: 'postgres://x', HOME: '/root', ...SECRET });
  t.equal(check.problems.length, 2);
  t.match(check.problems, [/^PORT is "80a"/, /^COLOUR is "blue"/]);
  t.same(check.warnings, ['DATABSE_URL is no setting and is ignored; did you mean DATABASE_URL?']);
});

t.test('the kernel starts without any setting', async (t) => {
  const { values, problems } = checkSettings({ kernel: kernelSettings }, {});
  t.same(problems, []);
  t.match(values['kernel'], { PORT: 8080, HOST: '127.0.0.1', DATA_DIR: '.data', LOG_LEVEL: 'info', SEED_DEMO: true, NODE_ENV: 'development' });
  t.notOk('DATABASE_URL' in values['kernel']!);
});

t.test('misspellings', async (t) => {
  t.equal(editDistance('DATABSE_URL', 'DATABASE_URL'), 1);
  t.equal(editDistance('LOG_LEVLE', 'LOG_LEVEL'), 1, 'neighbours that changed places are one mistake');
  const known = ['HOST', 'PORT', 'DATABASE_URL', 'LOG_LEVEL', 'DATA_DIR'];
  t.equal(nearMiss('LOGLEVEL', known), 'LOG_LEVEL');
  t.equal(nearMiss('database_url', known), 'DATABASE_URL');
  t.equal(nearMiss('HOME', known), undefined);
  t.equal(nearMiss('MY_DATA_DIR', known), undefined);
});

t.test('the table for the documentation names each setting with its default and hides secrets', async (t) => {
  const rows = describeSettings({ mail: schema }).split('\n');
  t.equal(rows[2], '| `WORKERS` | mail | a whole number from 1 to 64 | `4` | How many \\| at once. |');
  t.match(rows.join('\n'), '| `PAYMENT_TIMEOUT` | mail | a duration such as 500ms, 30s, 30m or 24h of at least 1s | `30m` |');
  t.match(rows.join('\n'), '| `SIGNING_SECRET` | mail | text of at least 12 characters | required |');
});
