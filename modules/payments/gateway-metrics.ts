/** Rate, errors and duration of what is asked of the gateway. */
import { Histogram, type Registry } from 'prom-client';
import type { Gateway } from './gateway.ts';

/** The same gateway, observed. Outcomes: `approved`, `declined`, `voided`, `ok`, `unknown` (nothing is booked) and `failed`. */
export function observed(gateway: Gateway, metrics: Registry): Gateway {
  const seconds = new Histogram({
    name: 'payments_gateway_seconds',
    help: 'Time that the card processor took to answer, by question and outcome',
    labelNames: ['question', 'outcome'],
    buckets: [0.005, 0.02, 0.1, 0.5, 1, 2, 5],
    registers: [metrics],
  });
  const observe = async <T>(question: string, answer: Promise<T>, outcomeOf: (value: T) => string): Promise<T> => {
    const end = seconds.startTimer({ question });
    try {
      const value = await answer;
      end({ outcome: outcomeOf(value) });
      return value;
    } catch (error) {
      end({ outcome: 'failed' });
      throw error;
    }
  };
  return {
    charge: (request, signal) => observe('charge', gateway.charge(request, signal), ({ outcome }) => outcome),
    lookup: (key, signal) => observe('lookup', gateway.lookup(key, signal), (booking) => booking?.outcome ?? 'unknown'),
    void: (key, signal) => observe('void', gateway.void(key, signal), ({ outcome }) => outcome),
    refund: (request, signal) => observe('refund', gateway.refund(request, signal), () => 'ok'),
  };
}
