/** A transaction as somebody else's work sees it: the same statements and the same commit, its own call. */
import type { Transaction } from './database.ts';

export function onBehalf(whole: Transaction, own: Pick<Transaction, 'call' | 'sql' | 'publish' | 'span'>): Transaction {
  return {
    ...own,
    get em() {
      return whole.em;
    },
    later: (text, params) => whole.later(text, params),
    mustChange: (text, params) => whole.mustChange(text, params),
    afterCommit: (action) => whole.afterCommit(action),
    for: (call) => whole.for(call),
  };
}
