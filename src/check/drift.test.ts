/** Entities and migrations describe the same tables: what MikroORM would change in a migrated database is nothing. */
import pg from 'pg';
import t from 'tap';
import { type EntitySchema, MikroORM } from '@mikro-orm/postgresql';
import { discoverModules } from '../host/discover.ts';
import { cloneDatabase } from '../testing/testing.ts';

const database = await cloneDatabase();
t.teardown(async () => database.drop());

const modules = await discoverModules();
const names = modules.map(({ contract }) => contract.name);

for (const { contract, entities } of modules.filter((module) => module.entities.length > 0)) {
  t.test(`the entities of ${contract.name} are its migrated tables`, async (t) => {
    const changes = await changesTo(contract.name, entities);
    t.equal(changes, '', 'nothing is to be changed; otherwise add a migration, or mend the entity');
  });
}

/** Tables that no entity describes: statements of SQL alone read and write them. One that loses its entity by mistake is not among them. */
const ofSqlAlone = [
  'catalog.word', 'inventory.reservation', 'orders.idempotency_key', 'payments.idempotency_key', 'payments.ledger_entry', 'payments.simulator_charge', 'payments.simulator_refund',
  'recommendations.basket', 'recommendations.pair', 'users.sign_in_failure', 'users.signing_key',
];

t.test('every other table has its entity', async (t) => {
  const client = new pg.Client({ connectionString: database.adminUrl });
  await client.connect();
  t.teardown(async () => client.end());
  const { rows } = await client.query<{ name: string }>(`select schemaname || '.' || tablename as name from pg_tables where schemaname = any($1)`, [names]);
  const described = new Set(modules.flatMap(({ contract, entities }) => entities.map(({ meta }) => `${contract.name}.${meta.tableName}`)));
  t.same(rows.map(({ name }) => name).filter((name) => !described.has(name)).toSorted(), ofSqlAlone);
});

t.test('what a table has too much, and what it lacks, is found', async (t) => {
  const { contract, entities } = modules.find((module) => module.contract.name === 'inventory')!;
  const client = new pg.Client({ connectionString: database.adminUrl });
  await client.connect();
  t.teardown(async () => client.end());
  await client.query(`set search_path = inventory;
    alter table adjustment add column more text;
    alter table adjustment drop column reason;
    create index adjustment_more on adjustment (delta);
    drop index adjustment_product;
    alter table adjustment add constraint adjustment_more_check check (on_hand > -1);
    alter table adjustment drop constraint adjustment_delta_check`);
  const changes = (await changesTo(contract.name, entities)).split(';').map((statement) => statement.trim()).filter(Boolean);
  t.strictSame(changes.toSorted(), [
    'alter table "inventory"."adjustment" add "reason" text not null',
    'alter table "inventory"."adjustment" add constraint "adjustment_delta_check" check (delta <> 0)',
    'alter table "inventory"."adjustment" drop column "more"',
    'alter table "inventory"."adjustment" drop constraint "adjustment_more_check"',
    'create index "adjustment_product" on "inventory"."adjustment" ("product_id", "id")',
    'drop index "inventory"."adjustment_more"',
  ]);
});

/** What would make the module's tables as its entities say. Tables without an entity are the business of SQL alone. */
async function changesTo(module: string, entities: readonly EntitySchema[]): Promise<string> {
  const others = names.filter((name) => name !== module);
  const orm = await MikroORM.init({ contextName: `drift:${module}`, clientUrl: database.adminUrl, entities: [...entities], schema: module });
  try {
    const described = [...orm.getMetadata().getAll().values()].map(({ tableName }) => tableName);
    const tables = await orm.em.fork().execute<{ name: string }[]>('select tablename as name from pg_tables where schemaname = ?', [module]);
    orm.config.set('schemaGenerator', {
      ignoreSchema: ['public', `${module}_outbox`, ...others.flatMap((name) => [name, `${name}_outbox`])],
      skipTables: tables.map(({ name }) => name).filter((name) => !described.includes(name)),
      ignoreTriggers: true,
      ignoreRoutines: true,
    });
    const sql = await orm.schema.getUpdateSchemaSQL({ dropTables: false });
    return sql.replace("set names 'utf8';", '').trim();
  } finally {
    await orm.close(true);
  }
}
