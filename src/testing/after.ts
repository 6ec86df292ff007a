/** Runs once after the suite. */
import { stopTestServer } from './database.ts';

await stopTestServer();
process.exit(0);
