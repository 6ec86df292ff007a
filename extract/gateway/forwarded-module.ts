/** A module as the gateway sees it. Nothing of it is set up here: all of this stands in its definition. */
import type { AnyModule } from '../../src/module.ts';

export interface ForwardedModule {
  readonly name: string;
  readonly summary: string;
  /** As its definition has them. */
  readonly paths: readonly string[];
  /** What its URLs may begin with: the paths under the base path, and without it. */
  readonly prefixes: readonly string[];
}

const BASE_PATH = '/api/v1';

export function forwardedModule({ contract: { name, summary }, paths = [] }: AnyModule): ForwardedModule {
  return { name, summary, paths, prefixes: paths.flatMap((path) => [`${BASE_PATH}${path}`, path]) };
}
