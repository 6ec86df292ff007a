/** The short forms of torture, as tests: each claim is one assertion. */
import type { Test } from 'tap';
import type { Result } from './result.testing.ts';

/** TORTURE_SEED makes the tests go elsewhere. */
export const seedOfTests = Number(process.env['TORTURE_SEED'] ?? 20_261_123);

/** Other tests run beside a short form: three times as long as a recovery takes at most where nothing does. */
export const recoveredBesideOthersMs = 15_000;

export function tell(t: Pick<Test, 'comment' | 'strictSame'>, { findings, figures }: Result): void {
  t.comment(`seed ${seedOfTests}; ${figures.join('; ')}`);
  for (const { claim, violations } of findings) t.strictSame(violations, [], claim);
}
