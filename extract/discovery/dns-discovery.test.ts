import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { DnsAddresses, type DnsName } from './dns-discovery.ts';
import { startDns } from './dns-server.testing.ts';

const payments: DnsName = { host: 'payments.shop.internal', port: 9150 };
const names = { payments, refunds: payments, orders: { host: 'orders.shop.internal', port: 9140 }, here: { host: '127.0.0.9', port: 9100 } };
const hosts = [...new Set(Object.values(names).map(({ host }) => host))];

async function until(check: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!check()) {
    if (performance.now() > deadline) throw new Error(`waited 15 s for ${what}`);
    await sleep(5);
  }
}

void t.test('a name leads to all its addresses, and follows them', async (t) => {
  const dns = await startDns(t);
  dns.records.set(payments.host, ['127.0.0.2', '127.0.0.3']);
  const addresses = new DnsAddresses({ hosts, servers: [dns.address], everyMs: 20 });
  t.teardown(() => addresses.close());
  const found = addresses.discovery(names);
  t.strictSame(found.originsOf('payments'), [], 'nobody is known before the first answer');
  await until(() => found.originsOf('payments').length === 2, 'both replicas');
  t.strictSame(found.originsOf('payments'), ['http://127.0.0.2:9150', 'http://127.0.0.3:9150']);
  t.strictSame(found.originsOf('refunds'), found.originsOf('payments'), 'modules of one service share its name');
  t.strictSame(found.originsOf('here'), ['http://127.0.0.9:9100'], 'an address needs no DNS');
  t.strictSame(found.originsOf('orders'), [], 'a name that does not exist is nobody');
  t.strictSame(found.originsOf('users'), [], 'nor is a module that has no name');

  dns.records.set(payments.host, ['127.0.0.3', '::1']);
  await until(() => !found.originsOf('payments').includes('http://127.0.0.2:9150'), 'the first to be gone');
  t.strictSame(found.originsOf('payments'), ['http://127.0.0.3:9150', 'http://[::1]:9150']);
  dns.records.delete(payments.host);
  await until(() => found.originsOf('payments').length === 0, 'all to be gone');
});

void t.test('while DNS is away the last answer holds', async (t) => {
  const dns = await startDns(t);
  dns.records.set(payments.host, ['127.0.0.2']);
  const addresses = new DnsAddresses({ hosts: [payments.host], servers: [dns.address], everyMs: 20 });
  t.teardown(() => addresses.close());
  const found = addresses.discovery(names);
  await until(() => found.originsOf('payments').length === 1, 'the replica');
  dns.fail(true);
  await until(() => dns.failures() > 10, 'DNS to fail again and again');
  t.strictSame(found.originsOf('payments'), ['http://127.0.0.2:9150']);
  dns.fail(false);
  dns.records.set(payments.host, ['127.0.0.4']);
  await until(() => found.originsOf('payments')[0] === 'http://127.0.0.4:9150', 'the new address');
});

void t.test('a name that only this machine knows is found, too', async (t) => {
  const addresses = new DnsAddresses({ hosts: ['localhost'] });
  t.teardown(() => addresses.close());
  const found = addresses.discovery({ payments: { host: 'localhost', port: 9150 } });
  await until(() => found.originsOf('payments').includes('http://127.0.0.1:9150'), 'localhost');
});
