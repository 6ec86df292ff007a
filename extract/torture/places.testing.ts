/** Where a run takes place: a database that nobody else uses, and that is gone afterwards. */
import { startServer } from '../bench/server.ts';

export interface Place {
  /** Connection string of the superuser. */
  readonly adminUrl: string;
  readonly rolePrefix: string;
}

/** On the server that DATABASE_URL names, or on an embedded one in a folder for temporary files, as durable as the shop's own. */
export async function onDatabaseOfItsOwn<T>(name: string, work: (place: Place) => Promise<T>): Promise<T> {
  const server = await startServer();
  try {
    return await work({ adminUrl: await server.create(name), rolePrefix: server.rolePrefix });
  } finally {
    await server.stop();
  }
}
