/**
 * The way in: `node src/main.ts`. What Node has compiled is kept for the next start, which then takes 1.1 instead
 * of 1.6 s of CPU time; so everything else is loaded after this has been said. `npm start` says so before this file is read: then Node
 * need not even load what it strips types with, which takes 15 MB.
 */
import { keepCompiled } from './compile-cache.ts';

keepCompiled();
await import('./process.ts');
