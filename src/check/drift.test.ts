/** Entities and migrations describe the same tables: what MikroORM would change in a migrated database is nothing. */
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
