/** The key that signs tokens where the settings name none: made by the first process, shared through the database. */
import { createPrivateKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import type { Call, Database, Transaction } from '#kernel';
import { tokenKeys } from './token-keys.ts';

/** Reads the key; the first process makes it while others that start at the same time wait for it. */
export async function developmentKey(db: Database, call: Call): Promise<KeyObject> {
  return (await readKey(db)) ?? db.transaction({ call }, async (tx) => {
    await tx.sql(`select pg_advisory_xact_lock(hashtextextended('users.signing_key', 0))`);
    return (await readKey(tx)) ?? makeKey(tx);
  });
}

async function readKey(db: Pick<Database, 'sql'>): Promise<KeyObject | undefined> {
  const [row] = await db.sql<{ private_key: string }>('select private_key from signing_key order by created_at desc, kid limit 1');
  return row && createPrivateKey(row.private_key);
}

async function makeKey(tx: Transaction): Promise<KeyObject> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2_048 });
  const { kid, privatePem } = tokenKeys(privateKey).signing;
  await tx.sql('insert into signing_key (kid, private_key) values ($1, $2)', [kid, privatePem]);
  return privateKey;
}
