/** Where modules are to be found. Who looks it up, and how, is the business of whoever deploys them. */

/** A replica of a service: origin of its internal listener, e.g. `http://127.0.0.1:8201`. */
export type Origin = string;

export interface Discovery {
  /** Healthy replicas of the service that hosts a module, as far as is known now; none where nobody knows of any. */
  originsOf(module: string): readonly Origin[];
  close(): Promise<void>;
}

/** Addresses that are known beforehand and do not change. */
export function staticDiscovery(origins: Readonly<Record<string, readonly Origin[]>>): Discovery {
  return { originsOf: (module) => origins[module] ?? [], close: async () => undefined };
}
