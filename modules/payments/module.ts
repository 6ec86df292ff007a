import { defineModule } from '#kernel';
import { Type } from '@sinclair/typebox';
import { payments } from './contract.ts';
import { observed } from './gateway-metrics.ts';
import { GatewaySimulator } from './gateway-simulator.ts';
import { PayableEntity } from './payable.ts';
import { PaymentEntity } from './payment.ts';
import { Payments } from './payments.ts';
import { RefundEntity } from './refund.ts';
import { routes } from './routes.ts';

const settings = Type.Object({
  PAYMENT_GATEWAY_LATENCY_MS: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: 60_000,
    description: 'Milliseconds that the simulated card processor takes for an answer',
  }),
  PAYMENT_GATEWAY_FAILURE_RATE: Type.Number({
    default: 0,
    minimum: 0,
    maximum: 1,
    description: 'Share of the questions to the simulated card processor that fail technically',
  }),
  PAYMENT_GATEWAY_TIMEOUT_MS: Type.Integer({
    default: 2_000,
    minimum: 50,
    maximum: 30_000,
    description: 'Milliseconds after which an unanswered question to the card processor is asked again',
  }),
  PAYMENT_LEASE_MS: Type.Integer({
    default: 8_000,
    minimum: 500,
    maximum: 300_000,
    description: 'Milliseconds after which a charge or refund that has not ended is taken for abandoned and settled with the card processor',
  }),
  PAYMENT_ORDER_WAIT_MS: Type.Integer({
    default: 2_000,
    minimum: 0,
    maximum: 8_000,
    description: 'Milliseconds that POST /payments waits for an order that was placed a moment ago to become payable',
  }),
});

export default defineModule({
  contract: payments,
  dependencies: {},
  consumes: {},
  paths: ['/payments'],
  settings,
  entities: [PayableEntity, PaymentEntity, RefundEntity],
  setup({ db, settings: set, log, metrics, inSpan }) {
    const timeoutMs = set.PAYMENT_GATEWAY_TIMEOUT_MS;
    const simulator = new GatewaySimulator({
      storage: db,
      latencyMs: set.PAYMENT_GATEWAY_LATENCY_MS,
      failureRate: set.PAYMENT_GATEWAY_FAILURE_RATE,
      lateMs: 2 * timeoutMs,
    });
    const gateway = observed(simulator, metrics);
    const service = new Payments({ db, log, inSpan, gateway, timeoutMs, leaseMs: set.PAYMENT_LEASE_MS, waitMs: set.PAYMENT_ORDER_WAIT_MS });
    return { operations: service.operations, routes: routes(service), tasks: service.tasks };
  },
});
