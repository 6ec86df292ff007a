/** SIGTERM under load: whoever sent a request on a connection that was taken has the answer. A refused connection is fine. */
import http from 'node:http';
import t from 'tap';
import { shopProcesses, testShop } from '#testing';

const ROUNDS = 2;
const CLIENTS = 8;
const shippingAddress = { name: 'Edsger Dijkstra', line1: '1 Semaphore Street', city: 'Nuenen', postalCode: '5671', country: 'NL' };

// Two lives of the shop, of one to two seconds each on a machine that has nothing else to do.
t.setTimeout(300_000);

interface Ask {
  readonly method: string;
  readonly path: string;
  readonly token: string;
  readonly body?: unknown;
}

/** What became of one client: how many answers it had, and how it ended. */
interface Ending {
  answers: number;
  error?: string;
}

/** The status, or `refused` when nobody took the connection. Rejects when the connection was taken and no answer came. */
function answerTo(url: string, agent: http.Agent, { method, path, token, body }: Ask): Promise<number | 'refused'> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, ...(body !== undefined && { 'content-type': 'application/json' }) };
    const request = http.request(url + path, { method, agent, headers }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode!)).on('error', reject);
    });
    request.on('error', (error: NodeJS.ErrnoException) => (error.code === 'ECONNREFUSED' ? resolve('refused') : reject(error)));
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** Asks again and again until it is refused. */
async function askOn(url: string, agent: http.Agent, ask: Ask, expected: number, ending: Ending): Promise<void> {
  try {
    for (;;) {
      const answer = await answerTo(url, agent, ask);
      if (answer === 'refused') return;
      if (answer !== expected) throw new Error(`${ask.method} ${ask.path} answered ${answer}`);
      ending.answers += 1;
    }
  } catch (error) {
    ending.error = String(error);
  } finally {
    agent.destroy();
  }
}

const setUp = await testShop(t);
const product = await setUp.product({ stock: 1_000_000 });
const { token } = await setUp.customer();
await setUp.stop();

t.test('no request on a connection that was taken goes without an answer', async (t) => {
  const processes = shopProcesses(t);
  const look: Ask = { method: 'GET', path: '/api/v1/users/me', token };
  const order: Ask = { method: 'POST', path: '/api/v1/orders', token, body: { items: [{ productId: product.id, quantity: 1 }], shippingAddress } };
  for (let round = 1; round <= ROUNDS; round += 1) {
    const shop = await processes.start({ adminUrl: setUp.adminUrl, settings: { SHUTDOWN_NOTICE_MS: '100' } });
    const endings: Ending[] = [];
    const clients = [{ ask: look, expected: 200, keepAlive: true }, { ask: order, expected: 201, keepAlive: false }].flatMap(({ ask, expected, keepAlive }) =>
      Array.from({ length: CLIENTS }, async () => {
        const ending = { answers: 0 };
        endings.push(ending);
        await askOn(shop.url!, new http.Agent({ keepAlive, maxSockets: 1 }), ask, expected, ending);
      }),
    );
    await setUp.until(() => endings.every(({ answers, error }) => answers > 1 || error), 'each client to have had answers', 60_000);
    t.equal(await shop.kill('SIGTERM'), '0', `round ${round}: the shop ends cleanly`);
    await Promise.all(clients);
    t.strictSame(endings.flatMap(({ error }) => error ?? []), [], `round ${round}: each request has its answer`);
  }
});
