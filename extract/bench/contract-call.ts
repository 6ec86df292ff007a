/**
 * What a contract call in process adds to calling the callee's function directly: CPU time, all threads of the
 * process, so garbage collection counts. Prints microseconds per operation as JSON. The calls are those that an
 * order makes, with values like its own and with the cancellation that comes with an HTTP request or does not.
 */
import { catalog } from '../../modules/catalog/contract.ts';
import { inventory } from '../../modules/inventory/contract.ts';
import { payments } from '../../modules/payments/contract.ts';
import { users } from '../../modules/users/contract.ts';
import { Call } from '../../src/calls/call.ts';
import { Gate } from '../../src/calls/gate.ts';
import { inProcessClient } from '../../src/calls/in-process.ts';
import type { Contract } from '../../src/contract/contract.ts';
import { createLog } from '../../src/log/log.ts';
import { createMetrics } from '../../src/metrics/metrics.ts';
import { uuidv7 } from '../../src/uuid.ts';
import { quantile } from './figures.ts';

type Operation = (input: unknown, call: Call) => Promise<unknown>;

interface Subject {
  readonly contract: Contract;
  readonly operation: string;
  readonly input: unknown;
  readonly output: unknown;
  readonly call: Call;
}

const CALLS = 100_000;
const ROUNDS = 9;
const WARM_UP_ROUNDS = 3;
const LONG_MS = 3_600_000;

const price = { amount: 4_990, currency: 'USD' };
const at = new Date().toISOString();
const product = (id: string) => ({ id, name: 'Cast Iron Skillet, 26 cm', description: 'Pre-seasoned pan that goes from the hob to the oven. Gets better every time it is used.', price, categoryId: uuidv7(), createdAt: at, updatedAt: at });
const ids = [uuidv7(), uuidv7()];
const orderId = uuidv7();
const customerId = uuidv7();

const ofRequest = Call.root('orders', LONG_MS, { actor: { id: customerId, role: 'customer' }, signal: new AbortController().signal });
const ofSaga = Call.root('orders', LONG_MS);

const subjects: readonly Subject[] = [
  { contract: catalog, operation: 'getProducts', input: { ids }, output: { items: ids.map(product) }, call: ofRequest },
  { contract: inventory, operation: 'reserve', input: { orderId, items: ids.map((productId) => ({ productId, quantity: 1 })), expiresAt: at }, output: { outcome: 'reserved', missing: [] }, call: ofSaga },
  { contract: payments, operation: 'open', input: { orderId, customerId, amount: price }, output: { status: 'open' }, call: ofSaga },
  { contract: users, operation: 'getUser', input: { userId: customerId }, output: { id: customerId, username: 'customer1', email: 'customer1@example.com', phone: null, role: 'customer' }, call: ofSaga },
];

const metrics = createMetrics();
const added: Record<string, number> = {};
for (const subject of subjects) added[`${subject.contract.name}.${subject.operation}`] = await addedUs(subject);
process.stdout.write(`${JSON.stringify(added)}\n`);

async function addedUs({ contract, operation, input, output, call }: Subject): Promise<number> {
  const direct: Operation = async () => output;
  const callee = { contract, operations: { [operation]: direct }, gate: new Gate(contract.name), log: createLog('warn') };
  const recorder = (name: string) => metrics.operation(contract.name, name, 'bench');
  const client = inProcessClient(contract, () => callee, { caller: 'bench', wire: false, recorder }) as unknown as Record<string, Operation>;
  const added: number[] = [];
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round += 1) {
    const [through, without] = [await cpuUs(client[operation]!, input, call), await cpuUs(direct, input, call)];
    if (round >= WARM_UP_ROUNDS) added.push((through - without) / CALLS);
  }
  return quantile(added, 0.5);
}

async function cpuUs(operation: Operation, input: unknown, call: Call): Promise<number> {
  const before = process.cpuUsage();
  for (let made = 0; made < CALLS; made += 1) await operation(input, call);
  const { user, system } = process.cpuUsage(before);
  return user + system;
}
