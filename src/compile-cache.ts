/** What Node has compiled is kept for the next start, in a folder that goes with the installed packages. */
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

export const compileCache = join(import.meta.dirname, '..', 'node_modules', '.cache', 'cleave');

/** For what this process loads from here on, for its threads, and for the processes that it starts. */
export function keepCompiled(): void {
  enableCompileCache(compileCache);
  process.env['NODE_COMPILE_CACHE'] ??= compileCache;
}
