/**
 * How the modules are, by the `/health` of the services that host them; asked when somebody asks, and remembered for a second.
 *
 * A module is healthy when each of its replicas says so, unhealthy when none does, and degraded in between.
 */
import type { ModuleHealth } from '../../src/http/platform-routes.ts';
import type { Discovery, Origin } from '../../src/wire/discovery.ts';
import type { Replicas } from '../../src/wire/replicas.ts';
import { askService } from './ask-service.ts';

const REMEMBERED_MS = 1_000;
const TIMEOUT_MS = 1_000;

type Modules = Readonly<Record<string, ModuleHealth>>;

export class ServiceHealth {
  readonly #discovery: Discovery;
  readonly #replicas: Replicas;
  readonly #answers = new Map<Origin, { readonly at: number; readonly modules: Promise<Modules> }>();

  constructor(discovery: Discovery, replicas: Replicas) {
    this.#discovery = discovery;
    this.#replicas = replicas;
  }

  async of(module: string): Promise<ModuleHealth> {
    const states = await Promise.all(this.#discovery.originsOf(module).map(async (origin) => (await this.#ask(origin))[module] ?? 'unhealthy'));
    if (states.every((state) => state === 'unhealthy')) return 'unhealthy';
    return states.every((state) => state === 'healthy') ? 'healthy' : 'degraded';
  }

  /** What a service says of its modules; nothing where it does not answer. */
  #ask(origin: Origin): Promise<Modules> {
    const known = this.#answers.get(origin);
    if (known && performance.now() - known.at < REMEMBERED_MS) return known.modules;
    const modules = askService<{ modules: Modules }>(this.#replicas.at(origin), '/health', TIMEOUT_MS).then(
      (answer) => answer.modules,
      () => ({}),
    );
    this.#answers.set(origin, { at: performance.now(), modules });
    return modules;
  }
}
