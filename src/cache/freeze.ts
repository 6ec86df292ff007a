/** Values that several readers share must not change under them. */
import type { DeepReadonly } from '../contract/types.ts';

/** Freezes JSON all the way down, in place. Stops where something is frozen already. */
export function deepFreeze<T>(value: T): DeepReadonly<T> {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) deepFreeze(part);
  }
  return value as DeepReadonly<T>;
}
