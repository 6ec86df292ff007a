/** All that a shop keeps, module by module and table by table, as it can be compared with what another shop keeps: ids and times aside, in no order. */
import { discoverModules, type TestShop } from '#testing';
import type { Side } from '../gateway/sameness.testing.ts';

/** Of no table but the module's own; a table that is not looked at says why. */
const apart: Readonly<Record<string, string>> = {
  'users.signing_key': 'drawn at random',
};

/** Columns that are drawn at random, or made from ids. */
const opaque = new Set(['password_hash', 'fingerprint', 'search', 'response', 'username', 'username_key', 'email', 'recipient']);

export type State = Readonly<Record<string, readonly unknown[]>>;

export async function stateOf(shop: TestShop, side: Side): Promise<State> {
  const modules = (await discoverModules()).map(({ contract }) => contract.name);
  const tables = await Promise.all(modules.flatMap((module) => [tablesOf(shop, side, module), eventsOf(shop, side, module)]));
  return Object.fromEntries(tables.flat());
}

type Table = [name: string, rows: readonly unknown[]];

async function tablesOf(shop: TestShop, side: Side, module: string): Promise<Table[]> {
  const names = await shop.sql<{ name: string }>(module, `select table_name as name from information_schema.tables where table_schema = $1 and table_type = 'BASE TABLE' order by 1`, [module]);
  return Promise.all(
    names
      .filter(({ name }) => !(`${module}.${name}` in apart))
      .map(async ({ name }): Promise<Table> => {
        const rows = await shop.sql<{ row: Record<string, unknown> }>(module, `select to_jsonb(t) as row from ${module}.${name} t`);
        return [`${module}.${name}`, sorted(rows.map(({ row }) => side.kept(withoutOpaque(row))))];
      }),
  );
}

/** What was published, what was handled by whom, what could not be, and where each saga stands. */
async function eventsOf(shop: TestShop, side: Side, module: string): Promise<Table[]> {
  const { outbox: { schema } } = shop.module(module);
  const parts = {
    published: `select jsonb_build_object('type', data->>'type', 'data', data->'data') as row from ${schema}.job where name = 'events'`,
    handled: `select jsonb_build_object('subscriber', subscriber) as row from ${schema}.inbox`,
    parked: `select jsonb_build_object('subscriber', subscriber, 'state', state, 'error', last_error) as row from ${schema}.event_delivery`,
    sagas: `select jsonb_build_object('name', name, 'id', id, 'status', status, 'step', step, 'trail', trail, 'reason', reason) as row from ${schema}.saga`,
  };
  return Promise.all(
    Object.entries(parts).map(async ([part, sql]): Promise<Table> => {
      const rows = await shop.sql<{ row: unknown }>(module, sql);
      return [`${module}: ${part}`, sorted(rows.map(({ row }) => side.kept(row)))];
    }),
  );
}

function withoutOpaque(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(row).map(([column, value]) => [column, opaque.has(column) && value !== null ? '<some>' : value]));
}

export function sorted(values: readonly unknown[]): unknown[] {
  return values.map((value) => JSON.stringify(value)).toSorted().map((text) => JSON.parse(text) as unknown);
}
