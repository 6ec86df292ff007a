/**
 * `npm run demo`: a customer's day in a running shop, through its public API alone. Ends with 1 when a step does
 * not do what it says.
 *
 * BASE_URL, ADMIN_USERNAME and ADMIN_PASSWORD, where they are not to be found in the data folder (DATA_DIR) of a shop
 * that runs here; DEMO_PATIENCE_MS (30000): how long to wait for what the shop does on its own.
 */
import { adminCredentials, shopUrl } from './admin.ts';
import { say, step, styled } from './screen.ts';
import { mustHold, ShopApi, ShopNotThere, StepFailed } from './shop-api.ts';
import { tellStory } from './story.ts';

const { env } = process;
const baseUrl = await shopUrl(env);

async function demo(): Promise<void> {
  mustHold(URL.canParse(baseUrl) && /^https?:/.test(baseUrl), `BASE_URL is ${JSON.stringify(baseUrl)}, but must be an http or https URL`);
  const patienceMs = Number(env.DEMO_PATIENCE_MS || 30_000);
  mustHold(patienceMs > 0, `DEMO_PATIENCE_MS is ${JSON.stringify(env.DEMO_PATIENCE_MS)}, but must be a number of milliseconds above 0`);
  const api = new ShopApi(baseUrl, patienceMs);
  say(styled('bold', `A day at ${baseUrl}`));
  await step('The shop is ready', () =>
    api.until(
      () => api.send('GET', '/ready'),
      ({ status }) => status === 200,
      ({ status }) => `${baseUrl}/ready to answer 200; it answers ${status}`,
    ),
  );
  await tellStory(api, await adminCredentials(env));
  say();
  say(styled('green', 'Everything happened as it should.'));
}

function explain(error: unknown): string {
  if (error instanceof ShopNotThere) {
    return `${error.message}.\nStart it with \`npm start\` in another terminal, or name another shop: BASE_URL=http://… npm run demo`;
  }
  if (error instanceof StepFailed) return `The demo stopped: ${error.message}.`;
  return `The demo itself is broken: ${(error as Error).stack}`;
}

try {
  await demo();
} catch (error) {
  process.exitCode = 1;
  process.stderr.write(`${styled('red', explain(error))}\n`);
}
