/** What stands beside the gateway in the benchmark: @fastify/http-proxy as its documentation has it, in front of UPSTREAM. */
import proxy from '@fastify/http-proxy';
import { fastify } from 'fastify';

const app = fastify();
await app.register(proxy, { upstream: process.env['UPSTREAM']!, undici: { connections: 128, pipelining: 1 } });
process.stdout.write(`The proxy listens on ${await app.listen({ host: '127.0.0.1', port: 0 })}\n`);
process.once('SIGTERM', () => void app.close().then(() => process.exit(0)));
