/**
 * `node src/testing/reach.ts <connection string>`: ends with 0 when a PostgreSQL answers there. Else it says so in one sentence,
 * without the password, and ends with 1.
 */
import pg from 'pg';

const url = process.argv[2] ?? '';
const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
client.on('error', () => undefined);
const failure = await client.connect().then(() => undefined, (error: unknown) => error as Error & { code?: string });
await client.end().catch(() => undefined);
if (failure) {
  process.stdout.write(`NOT TESTED: no PostgreSQL answers at ${withoutPassword(url)} (${failure.message || failure.code}). Start one, 15 or newer, or name it with CI_DATABASE_URL.\n`);
  process.exitCode = 1;
}

function withoutPassword(text: string): string {
  const parsed = URL.parse(text);
  if (!parsed) return 'an address that is no URL';
  parsed.password = '';
  return parsed.href;
}
