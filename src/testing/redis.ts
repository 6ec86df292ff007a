/** The Redis of tests that need one: the one that TEST_REDIS_URL names, or one on this machine. */
export const testRedisUrl = process.env['TEST_REDIS_URL'] ?? 'redis://127.0.0.1:6379';

/**
 * Why tests that need Redis cannot run here, for tap's `skip`; false when they can. In CI there has to be one.
 * @throws Error in CI when there is none
 */
export async function withoutRedis(): Promise<string | false> {
  // Loaded here, because most tests need none.
  const { Redis } = await import('ioredis');
  const redis = new Redis(testRedisUrl, { lazyConnect: true, connectTimeout: 1_000, retryStrategy: null });
  redis.on('error', () => undefined);
  const failure = await redis.connect().then(() => undefined, (error: unknown) => error);
  redis.disconnect();
  if (!failure) return false;
  const reason = `NOT TESTED: there is no Redis at ${testRedisUrl}. Start one, or name it with TEST_REDIS_URL.`;
  if (process.env['CI'] === 'true') throw new Error(reason, { cause: failure });
  process.stderr.write(`${reason}\n`);
  return reason;
}
