/** Thousands of made-up requests to every route, in a shop that runs in this process. */
import { testShop } from '#testing';
import { fuzz, type FuzzOptions, fuzzSettings } from '../api/fuzz.testing.ts';
import type { Place } from './places.testing.ts';
import type { Result } from './result.testing.ts';

export async function fuzzShop({ adminUrl, rolePrefix, ...options }: FuzzOptions & Place): Promise<Result> {
  let stop: () => Promise<void> | void = () => undefined;
  const scope = { teardown: (action: typeof stop) => void (stop = action) };
  const database = { adminUrl, rolePrefix, name: 'fuzz', drop: async () => undefined };
  try {
    return await fuzz(await testShop(scope, { settings: fuzzSettings, database }), options);
  } finally {
    await stop();
  }
}
