/** The shop's modules with operations that a test watches, and has do something else: as other modules call them, not as their own routes do. */
import type { Call } from '../calls/call.ts';
import { discoverModules } from '../host/discover.ts';
import type { AnyModule } from '../module.ts';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- operations of all shapes are tampered with alike
type Work = (input: any, call: Call) => Promise<any>;
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- as above
export type Tampered = (input: any, call: Call, work: Work) => Promise<unknown>;

/** A call as its callee saw it. */
export interface Asked {
  /** `module.operation` */
  readonly name: string;
  readonly call: Call;
  /** When it came, by `performance.now()`. */
  readonly at: number;
  /** What was left of its time then. */
  readonly leftMs: number;
}

export interface Tampering {
  readonly modules: readonly AnyModule[];
  /** What an operation does instead of its work, which it is handed, by `module.operation`. */
  readonly instead: Map<string, Tampered>;
  readonly asked: Asked[];
}

export async function tampering(): Promise<Tampering> {
  const instead: Tampering['instead'] = new Map();
  const asked: Asked[] = [];
  const tamperable = (name: string, work: Work): Work => async (input, call) => {
    asked.push({ name, call, at: performance.now(), leftMs: call.remainingMs });
    const tampered = instead.get(name);
    return tampered ? tampered(input, call, work) : work(input, call);
  };
  const modules = (await discoverModules()).map((module): AnyModule => ({
    ...module,
    setup: async (context: unknown) => {
      const parts = await module.setup(context);
      return { ...parts, operations: Object.fromEntries(Object.entries<Work>(parts.operations).map(([name, work]) => [name, tamperable(`${module.contract.name}.${name}`, work)])) };
    },
  }));
  return { modules, instead, asked };
}
