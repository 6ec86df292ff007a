/** A DNS server for tests, on the loopback address: answers A and AAAA questions (RFC 1035, 3596) with whatever the test says. */
import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import type { TestScope } from '#testing';

export interface DnsServer {
  readonly address: string;
  /** Addresses by name; a name that is not there does not exist. */
  readonly records: Map<string, readonly string[]>;
  /** Answers nothing but SERVFAIL. */
  fail(failing: boolean): void;
  /** How many questions it has failed. */
  failures(): number;
}

const A = 1;
const AAAA = 28;
const HEADER = 12;
const SERVFAIL = 2;
const NXDOMAIN = 3;

export async function startDns(t: TestScope): Promise<DnsServer> {
  const records = new Map<string, readonly string[]>();
  let failing = false;
  let failures = 0;
  const socket = createSocket('udp4');
  socket.on('message', (query, from: RemoteInfo) => {
    if (failing) failures += 1;
    socket.send(failing ? answer(query, SERVFAIL, []) : answerFrom(records, query), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.teardown(async () => new Promise((resolve) => void socket.close(resolve)));
  return { address: `127.0.0.1:${socket.address().port}`, records, fail: (now) => (failing = now), failures: () => failures };
}

function answerFrom(records: ReadonlyMap<string, readonly string[]>, query: Buffer): Buffer {
  const { name, type } = question(query);
  const addresses = records.get(name);
  if (!addresses) return answer(query, NXDOMAIN, []);
  const fitting = addresses.filter((address) => address.includes(':') === (type === AAAA));
  return answer(query, 0, fitting.map((address) => record(type === AAAA ? AAAA : A, address)));
}

function question(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = [];
  let at = HEADER;
  for (let length = query[at]!; length > 0; length = query[at]!) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 };
}

function answer(query: Buffer, code: number, records: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(HEADER);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(0x8580 | code, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  return Buffer.concat([header, query.subarray(HEADER, question(query).end), ...records]);
}

/** Named by a pointer to the question; to be kept for no time. */
function record(type: number, address: string): Buffer {
  const data = type === A ? Buffer.from(address.split('.').map(Number)) : ipv6(address);
  const head = Buffer.alloc(HEADER);
  head.writeUInt16BE(0xc0_0c, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function ipv6(address: string): Buffer {
  const [head = '', tail = ''] = address.split('::');
  const groups = (text: string): string[] => text.split(':').filter(Boolean);
  const middle = Array.from({ length: 8 - groups(head).length - groups(tail).length }, () => '0');
  return Buffer.from([...groups(head), ...middle, ...groups(tail)].map((group) => group.padStart(4, '0')).join(''), 'hex');
}
