/** When nothing is under way in a shop, however it is placed: what was asked for last has had all its effects. */
import { discoverModules, type TestShop } from '#testing';

/** Sagas that wait for a customer are quiet; those that are about to do something by themselves are not. */
const soon = `interval '5 s'`;

export async function untilQuiet(shop: TestShop, timeoutMs = 30_000): Promise<void> {
  const names = (await discoverModules()).map(({ contract }) => contract.name);
  const modules = names.map((name) => shop.module(name));
  // Ten databases are not looked at in one moment: what one has just handed to another may be missed in both, once.
  let quiet = 0;
  await shop.until(
    async () => {
      const busy = await Promise.all(modules.map(async ({ db, outbox: { schema } }) => db.sql(`select 1 from ${schema}.job where state < 'active' union all select 1 from ${schema}.event_delivery where state = 'waiting' union all select 1 from ${schema}.saga where wake_at < now() + ${soon} union all select 1 from ${schema}.note where key like 'replay:%' and not value ? 'finishedAt'`)));
      quiet = busy.flat().length === 0 ? quiet + 1 : 0;
      return quiet === 2;
    },
    'nothing to be under way',
    timeoutMs,
  );
}
