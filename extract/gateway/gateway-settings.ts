/** Settings of the gateway, beside the kernel's. */
import { type Static, Type } from '@sinclair/typebox';
import { serviceSettings } from '../serve/service-settings.ts';

export const gatewaySettings = Type.Object({
  SERVICE_SECRET: serviceSettings.properties.SERVICE_SECRET,
  UPSTREAM_TIMEOUT_MS: Type.Integer({
    default: 15_000,
    minimum: 10,
    maximum: 600_000,
    description: 'How long a service may take to begin its answer, in ms. Services give up after 10 s themselves: keep it longer, so that they can say so.',
  }),
});

export type GatewaySettings = Static<typeof gatewaySettings>;
