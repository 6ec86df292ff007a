/** Runs once before the suite: starts the test server and makes the template, so that no test file waits for it. */
import { ensureTemplate, testServer } from './database.ts';

await ensureTemplate(await testServer());
process.exit(0);
