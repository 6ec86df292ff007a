/** The settings of all processes together: checked once, before any of them is started, and handed to each. */
import { resolve } from 'node:path';
import { projectRoot } from '../../src/host/discover.ts';
import type { AnyModule } from '../../src/module.ts';
import { checkSettings, kernelSettings, type KernelSettings, StartError } from '../../src/settings/settings.ts';
import { givenDatabase } from '../serve/service-database.ts';
import { serviceSecret } from '../serve/service-secret.ts';
import { databaseSettings, type ServiceSettings, serviceSettings } from '../serve/service-settings.ts';
import type { Topology } from '../topology/topology.ts';
import type { Administrator } from './administrator.ts';
import { poolSizeFor, type ProcessPlan } from './plan.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface UpSettings {
  readonly kernel: KernelSettings;
  readonly service: ServiceSettings;
  readonly databases: Readonly<Record<string, unknown>>;
  /** Absolute. */
  readonly dataDir: string;
  readonly env: Environment;
}

/** What the topology decides, for each process otherwise. */
const DECIDED = ['PORT', 'HOST', 'INTERNAL_PORT', 'INTERNAL_HOST'];
const LEAST_POOL = 2;

/** Says what is wrong with them. @returns undefined when any of all is bad */
export function readSettings(modules: readonly AnyModule[], env: Environment): UpSettings | undefined {
  const own = Object.fromEntries(modules.map((module) => [module.contract.name, module.settings]));
  const databases = databaseSettings(modules.map(({ contract }) => contract.name));
  const { values, problems, warnings } = checkSettings({ kernel: kernelSettings, service: serviceSettings, databases, ...own }, env);
  const decided = DECIDED.filter((name) => env[name]).map((name) => `${name} is not used: the topology says where to listen.`);
  for (const sentence of [...warnings, ...decided, ...problems]) process.stderr.write(`${sentence}\n`);
  if (problems.length > 0) return undefined;
  const kernel = values['kernel'] as KernelSettings;
  return { kernel, service: values['service'] as ServiceSettings, databases: values['databases']!, dataDir: resolve(projectRoot, kernel.DATA_DIR), env };
}

/** Whether any service has no database but the one on the server that they share. */
export function needsServer({ services }: Topology, { databases }: UpSettings): boolean {
  return services.some(({ modules }) => givenDatabase(modules, databases) === undefined);
}

export interface Common {
  readonly plans: readonly ProcessPlan[];
  /** That the shared server takes; undefined where there is none. */
  readonly connections: number | undefined;
  readonly administrator: Administrator | undefined;
  readonly logs: boolean;
}

/** @throws StartError where the server has too few connections for all processes */
export async function environment({ kernel, service, dataDir, env }: UpSettings, { plans, connections, administrator, logs }: Common): Promise<Environment> {
  return {
    ...Object.fromEntries(Object.entries(env).filter(([name]) => !DECIDED.includes(name))),
    DATA_DIR: dataDir,
    SERVICE_SECRET: await serviceSecret(service.SERVICE_SECRET, { production: kernel.NODE_ENV === 'production', dataDir }),
    // Lines that nobody is shown need not be written.
    ...(!env['LOG_LEVEL'] && { LOG_LEVEL: logs ? 'info' : 'warn' }),
    // The C library keeps memory for each of a process's threads otherwise.
    ...(!env['MALLOC_ARENA_MAX'] && { MALLOC_ARENA_MAX: '2' }),
    ...(!env['POOL_SIZE'] && connections !== undefined && { POOL_SIZE: poolSize(plans, connections) }),
    ...(administrator && { ADMIN_USERNAME: administrator.username, ADMIN_PASSWORD: administrator.password }),
  };
}

function poolSize(plans: readonly ProcessPlan[], max: number): string {
  const modules = plans.flatMap((plan) => plan.modules).length;
  const size = poolSizeFor({ max, processes: plans.length, modules });
  if (size < LEAST_POOL) throw new StartError(`the database server takes ${max} connections, which is too few for ${plans.length} processes`, 'Raise max_connections of the server, give modules servers of their own (e.g. PAYMENTS_DATABASE_URL), or start fewer replicas.');
  return String(size);
}
