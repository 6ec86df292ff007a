/** Settings of a shop under test. */
export const testAdmin = { ADMIN_USERNAME: 'admin', ADMIN_PASSWORD: 'correct horse battery staple' };

export const testEnvironment: Readonly<Record<string, string>> = {
  PORT: '0',
  HOST: '127.0.0.1',
  LOG_LEVEL: 'fatal',
  SEED_DEMO: 'false',
  NODE_ENV: 'test',
  POOL_SIZE: '3',
  RATE_LIMIT_PER_MINUTE: '0',
  OVERLOAD_DELAY_MS: '0',
  SHUTDOWN_NOTICE_MS: '0',
  ...testAdmin,
};

/** Whether contract calls and events are to go through JSON in this run, see docs/decisions/0021. */
export function wireAsked(): boolean {
  return process.env['CLEAVE_WIRE'] === 'json';
}
