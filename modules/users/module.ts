import { Call, defineModule } from '#kernel';
import { Gauge, type Registry } from 'prom-client';
import { Account } from './account.ts';
import { ensureAdministrator } from './administrator.ts';
import { users } from './contract.ts';
import { developmentKey } from './development-key.ts';
import { Passwords } from './passwords.ts';
import { keySetRoutes, userRoutes } from './routes.ts';
import { userSettings } from './settings.ts';
import { SignInThrottle } from './sign-in-throttle.ts';
import { keysFromSettings, tokenKeys } from './token-keys.ts';
import { toSummary, Users } from './users.ts';

const KEY_TIMEOUT_MS = 10_000;
const IDLE_THREAD_MS = 30_000;
const SWEEP_EVERY_MS = 5 * 60_000;

export default defineModule({
  contract: users,
  dependencies: {},
  consumes: {},
  paths: ['/users', '/.well-known/jwks.json'],
  settings: userSettings,
  entities: [Account],
  async setup({ db, settings, metrics, note, keep, forget }) {
    const keys = keysFromSettings(settings) ?? tokenKeys(await developmentKey(db, Call.root('users', KEY_TIMEOUT_MS)));
    const passwords = new Passwords({
      concurrency: settings.PASSWORD_HASH_CONCURRENCY,
      queue: settings.PASSWORD_HASH_QUEUE,
      idleMs: IDLE_THREAD_MS,
    });
    const throttle = new SignInThrottle(db, {
      accountFailures: settings.SIGN_IN_ACCOUNT_FAILURES,
      addressFailures: settings.SIGN_IN_ADDRESS_FAILURES,
      windowSeconds: settings.SIGN_IN_WINDOW_SECONDS,
    });
    const service = new Users({ db, passwords, throttle });
    watch(metrics, passwords);
    return {
      operations: {
        getUser: async ({ userId }, call) => toSummary(await service.get(userId, call)),
        getTokenKeys: async () => keys.keySet,
        getWithdrawnTokens: async ({ after }, call) => service.withdrawnTokens(after, call),
        register: async (input, call) => toSummary(await service.registerOnce(input, call)),
      },
      routes: userRoutes(service, { keys, tokenTtlSeconds: settings.TOKEN_TTL_SECONDS }),
      rootRoutes: keySetRoutes(keys),
      tasks: [{ name: 'sweep-sign-in-failures', everyMs: SWEEP_EVERY_MS, firstAfterMs: SWEEP_EVERY_MS, run: (call) => throttle.sweep(call) }],
      start: (call) => ensureAdministrator(settings, { db, passwords, note, keep, forget }, call),
      stop: () => passwords.close(),
    };
  },
});

function watch(registry: Registry, passwords: Passwords): void {
  new Gauge({
    name: 'users_password_jobs_waiting',
    help: 'Passwords that wait for their turn to be hashed',
    registers: [registry],
    collect() {
      this.set(passwords.waiting);
    },
  });
}
