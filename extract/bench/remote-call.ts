/**
 * What a contract call to another process takes, beside a bare JSON round trip of the same size: undici's `request` to a Fastify route that
 * parses the same body and serialises the same answer by the same schema. Both over keep-alive connections on loopback, the other side in a
 * process of its own, in turn within each round. Prints medians in microseconds a call as JSON.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fastify } from 'fastify';
import { Pool } from 'undici';
import { catalog } from '../../modules/catalog/contract.ts';
import { Call } from '../../src/calls/call.ts';
import { Gate } from '../../src/calls/gate.ts';
import { inProcessClient } from '../../src/calls/in-process.ts';
import { createLog } from '../../src/log/log.ts';
import { createMetrics } from '../../src/metrics/metrics.ts';
import { uuidv7 } from '../../src/uuid.ts';
import { CalleeGuard } from '../../src/wire/callee-guard.ts';
import { staticDiscovery } from '../../src/wire/discovery.ts';
import { createInternalServer } from '../../src/wire/internal-server.ts';
import { remoteClient } from '../../src/wire/remote-client.ts';
import { Replicas } from '../../src/wire/replicas.ts';
import { ServiceTokens } from '../../src/wire/service-tokens.ts';
import { quantile } from './figures.ts';

/** Microseconds a call, and of CPU in the calling process, by how many are under way at a time. */
export interface RemoteCalls {
  readonly [atATime: string]: { readonly bareUs: number; readonly remoteUs: number; readonly bareCpuUs: number; readonly remoteCpuUs: number; readonly ratio: number };
}

const AT_A_TIME = [1, 16];
const CALLS = 4_000;
const ROUNDS = 15;
const WARM_UP_ROUNDS = 3;
const LONG_MS = 3_600_000;
const SECRET = 'signs nothing but the calls of a benchmark';
const log = createLog('warn');
const metrics = createMetrics();
const at = new Date().toISOString();
const product = { id: uuidv7(), name: 'Cast Iron Skillet, 26 cm', description: 'Pre-seasoned pan that goes from the hob to the oven. Gets better every time it is used.', price: { amount: 4_990, currency: 'USD' }, categoryId: uuidv7(), createdAt: at, updatedAt: at };
const { getProduct } = catalog.operations;

if (process.send) await answer();
else process.stdout.write(`${JSON.stringify(await measure())}\n`);

/** The other process: the same answer behind the internal listener and behind a bare route. */
async function answer(): Promise<void> {
  const callee = { contract: catalog, operations: { getProduct: async () => product } as never, gate: new Gate('catalog'), log };
  const client = (caller: string) => inProcessClient(catalog, () => callee, { caller, wire: false, recorder: (name) => metrics.operation('catalog', name, caller) }) as never;
  const served = { contract: catalog, callers: new Set(['bench']), publishers: new Set<string>(), subscribers: [], client, handle: async () => [] };
  const internal = await createInternalServer({ modules: [served], tokens: new ServiceTokens(SECRET), log });
  const bare = fastify();
  bare.post('/', { schema: { body: getProduct.input, response: { 200: getProduct.output } } }, async () => product);
  const [remote, plain] = await Promise.all([internal, bare].map(async (server) => server.listen({ host: '127.0.0.1', port: 0 })));
  process.once('disconnect', () => process.exit());
  process.send!({ remote, plain });
}

type Work = () => Promise<unknown>;

async function measure(): Promise<RemoteCalls> {
  const child = fork(import.meta.filename);
  const [{ remote, plain }] = (await once(child, 'message')) as [{ remote: string; plain: string }];
  const replicas = new Replicas(staticDiscovery({ catalog: [remote] }));
  const recorder = (name: string) => metrics.operation('catalog', name, 'bench');
  const client = remoteClient(catalog, { caller: 'bench', replicas, guard: new CalleeGuard('catalog', () => undefined), tokens: new ServiceTokens(SECRET), log, tracing: undefined, recorder });
  const pool = new Pool(plain, { connections: 128, pipelining: 1 });
  const call = Call.root('bench', LONG_MS);
  const figures = await compare(roundTrip(pool), async () => client.getProduct({ id: product.id }, call));
  await Promise.all([pool.close(), replicas.close()]);
  child.disconnect();
  return figures;
}

function roundTrip(pool: Pool): Work {
  return async () => {
    const { body } = await pool.request({ method: 'POST', path: '/', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ id: product.id }) });
    return JSON.parse(await body.text()) as unknown;
  };
}

async function compare(bare: Work, remote: Work): Promise<RemoteCalls> {
  const figures: Record<string, RemoteCalls[string]> = {};
  for (const atATime of AT_A_TIME) {
    const rounds: [Taken, Taken][] = [];
    for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round += 1) {
      const pair: [Taken, Taken] = [await take(bare, atATime), await take(remote, atATime)];
      if (round >= 0) rounds.push(pair);
    }
    const median = (of: (pair: [Taken, Taken]) => number): number => quantile(rounds.map(of).toSorted((a, b) => a - b), 0.5);
    figures[atATime] = {
      bareUs: median(([one]) => one.us),
      remoteUs: median(([, other]) => other.us),
      bareCpuUs: median(([one]) => one.cpuUs),
      remoteCpuUs: median(([, other]) => other.cpuUs),
      ratio: median(([one, other]) => other.us / one.us),
    };
  }
  return figures;
}

interface Taken {
  readonly us: number;
  readonly cpuUs: number;
}

async function take(work: Work, atATime: number): Promise<Taken> {
  const [started, cpu] = [performance.now(), process.cpuUsage()];
  let left = CALLS;
  await Promise.all(
    Array.from({ length: atATime }, async () => {
      while (left-- > 0) await work();
    }),
  );
  const { user, system } = process.cpuUsage(cpu);
  return { us: ((performance.now() - started) * 1_000) / CALLS, cpuUs: (user + system) / CALLS };
}
