/** The shape of problem documents (RFC 9457), as OpenAPI shows it. */

export const problemSchema = {
  type: 'object' as const,
  description: 'What went wrong (RFC 9457)',
  required: ['type', 'title', 'status', 'detail', 'instance', 'code', 'traceId'],
  properties: {
    type: { type: 'string' as const, description: 'Names the kind of problem; `urn:cleave:problem:` and the code' },
    title: { type: 'string' as const, description: 'The kind of problem in words; constant per code' },
    status: { type: 'integer' as const, minimum: 400, maximum: 599 },
    detail: { type: 'string' as const, description: 'This problem in words' },
    instance: { type: 'string' as const, description: 'The path that was asked for' },
    code: { type: 'string' as const, pattern: '^[A-Z][A-Z0-9_]*$', description: 'Stable; what programs should look at' },
    traceId: { type: 'string' as const, pattern: '^[0-9a-f]{32}$', description: 'Finds the request in logs and traces' },
    errors: {
      type: 'array' as const,
      description: 'With status 400: what does not fit, and where',
      items: {
        type: 'object' as const,
        required: ['path', 'message'],
        properties: { path: { type: 'string' as const, description: 'JSON pointer; empty for the whole' }, message: { type: 'string' as const } },
      },
    },
  },
  additionalProperties: true,
};
