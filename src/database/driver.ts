/** MikroORM's driver, which tells a database that cannot be reached as the rest of this folder does. */
import { type DriverException, PostgreSqlDriver } from '@mikro-orm/postgresql';
import { CallError } from '../contract/errors.ts';
import { asCallError } from './lost-connection.ts';

export class Driver extends PostgreSqlDriver {
  /**
   * Every failure of an entity manager comes through here, some more than once. Outside transactions it only reads, and
   * within one it does not commit, so nothing can have been done.
   */
  override convertException(error: Error): DriverException {
    if (error instanceof CallError) return error as never;
    const told = asCallError(error, this.config.get('contextName'), false);
    return told === error ? super.convertException(error) : (told as never);
  }
}
