/** What the door has to ask the module that signs tokens, as calls of that module's contract. */
import { Call, newTraceparent } from '../calls/call.ts';
import type { Contract } from '../contract/contract.ts';
import type { Client } from '../contract/types.ts';
import type { TokenIssuer } from '../http/auth.ts';
import type { KeySet } from '../http/token-claims.ts';
import type { Withdrawals } from '../http/withdrawn-tokens.ts';

const KEYS_TIMEOUT_MS = 5_000;
/** Tokens may be waiting. */
const WITHDRAWALS_TIMEOUT_MS = 2_000;

type Operation<Answer> = (input: object, call: Call) => Promise<Answer>;

/**
 * @param client of the module that signs; looked for at each question, as it may be elsewhere by then
 */
export function tokenIssuer(client: () => Client<Contract>): TokenIssuer {
  const operation = <Answer>(name: string) => (client() as unknown as Record<string, Operation<Answer> | undefined>)[name];
  return {
    keys: async () => operation<KeySet>('getTokenKeys')!({}, Call.root('kernel', KEYS_TIMEOUT_MS)),
    withdrawals: async (after) => {
      const ask = operation<Withdrawals>('getWithdrawnTokens');
      return ask ? ask({ ...(after !== undefined && { after }) }, unrecorded(WITHDRAWALS_TIMEOUT_MS)) : { withdrawn: [], next: '', more: false };
    },
  };
}

/** What is asked every second is no trace. */
function unrecorded(timeoutMs: number): Call {
  return Call.root('kernel', timeoutMs, { traceparent: newTraceparent().replace(/01$/, '00') });
}
