/** pg-boss's names as we use them. */
export { PgBoss } from 'pg-boss';
export type { Db as IDatabase } from 'pg-boss';
