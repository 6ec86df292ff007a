/** How much may still be asked for, in the headers that most clients know (draft-ietf-httpapi-ratelimit-headers-02). */

export interface Allowance {
  readonly limit: number;
  readonly remaining: number;
  readonly resetSeconds: number;
}

export function rateLimitHeaders({ limit, remaining, resetSeconds }: Allowance): Record<string, number> {
  return { 'ratelimit-limit': limit, 'ratelimit-remaining': remaining, 'ratelimit-reset': resetSeconds };
}
