/**
 * What every process of a test run loads first (see `src/check/test.ts`): switches off what tap does in each of them for purposes that are
 * not ours, and has no option for. Together that is a tenth of a run.
 */
import asyncHooks from 'node:async_hooks';
import { syncBuiltinESMExports } from 'node:module';

// Which files a process loads is noted for coverage and for `--changed`.
process.env['_TAPJS_PROCESSINFO_EXCLUDE_'] = '/./';

// Every promise is followed, so that an error which nobody catches is told of under the subtest that it came from. Without that it
// ends the process, and the file fails with the same stack.
const never = { enable: () => never, disable: () => never };
asyncHooks.createHook = () => never;
syncBuiltinESMExports();

// Types are stripped in place, so lines and columns are those of the source; maps would be read for libraries only.
process.setSourceMapsEnabled(false);
