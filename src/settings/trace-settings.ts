/**
 * The part of OpenTelemetry's environment variables that the shop keeps to; the names and defaults are the standard's
 * (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).
 */
import { Type } from '@sinclair/typebox';
import { OneOf } from '../contract/schemas.ts';

const PAIRS = '^\\s*[^\\s=,]+=[^,]*(,\\s*[^\\s=,]+=[^,]*)*$';
const pairs = { pattern: PAIRS, expected: 'pairs such as name=value with commas between, values percent-encoded' };
const endpoint = { format: 'url', protocols: ['http', 'https'] };

export const traceSettings = {
  OTEL_EXPORTER_OTLP_ENDPOINT: Type.Optional(
    Type.String({
      ...endpoint,
      examples: ['http://localhost:4318'],
      description: 'Collector that takes traces as OTLP over HTTP; `/v1/traces` is added to it. Without it nothing is traced.',
    }),
  ),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: Type.Optional(
    Type.String({ ...endpoint, examples: ['http://localhost:4318/v1/traces'], description: 'The same for traces alone, taken as it is; counts before the other.' }),
  ),
  OTEL_EXPORTER_OTLP_PROTOCOL: OneOf(['http/json'], { default: 'http/json', description: 'How traces are sent; collectors take it where they take http/protobuf.' }),
  OTEL_EXPORTER_OTLP_HEADERS: Type.Optional(
    Type.String({ ...pairs, secret: true, description: 'Headers for the collector, e.g. what it authenticates by.' }),
  ),
  OTEL_EXPORTER_OTLP_COMPRESSION: OneOf(['none', 'gzip'], { default: 'none', description: 'Whether what is sent to the collector is compressed.' }),
  OTEL_EXPORTER_OTLP_TIMEOUT: Type.Integer({ default: 10_000, minimum: 1, maximum: 600_000, description: 'How long the collector may take for a batch, repetitions included, in ms.' }),
  OTEL_SDK_DISABLED: Type.Boolean({ default: false, description: 'Traces nothing, whatever else is set.' }),
  OTEL_SERVICE_NAME: Type.String({ default: 'cleave', minLength: 1, maxLength: 200, description: 'Name of the shop in traces.' }),
  OTEL_RESOURCE_ATTRIBUTES: Type.Optional(
    Type.String({ ...pairs, examples: ['deployment.environment.name=staging'], description: 'What else traces say of this process.' }),
  ),
  OTEL_TRACES_SAMPLER: OneOf(['always_on', 'always_off', 'traceidratio', 'parentbased_always_on', 'parentbased_always_off', 'parentbased_traceidratio'], {
    default: 'parentbased_always_on',
    description: 'Which traces are recorded. The parent-based ones follow the caller where the request has a traceparent.',
  }),
  OTEL_TRACES_SAMPLER_ARG: Type.Number({ default: 1, minimum: 0, maximum: 1, description: 'Share of the traces that a sampler by ratio records.' }),
  OTEL_BSP_SCHEDULE_DELAY: Type.Integer({ default: 5_000, minimum: 1, maximum: 600_000, description: 'Longest time that spans are gathered before they are sent, in ms.' }),
  OTEL_BSP_MAX_QUEUE_SIZE: Type.Integer({ default: 2_048, minimum: 1, maximum: 1_000_000, description: 'Spans that wait to be sent at the most, some 2 KB each; others are dropped.' }),
  OTEL_BSP_MAX_EXPORT_BATCH_SIZE: Type.Integer({ default: 512, minimum: 1, maximum: 100_000, description: 'Spans that are sent together at the most.' }),
};
