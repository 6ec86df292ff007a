/**
 * What the registry and its clients say to each other, over HTTP with a service token for `registry`:
 *
 *   PUT /replicas/<id>     a replica's record -> 204; registers it, and is its heartbeat from then on
 *   DELETE /replicas/<id>  -> 204; it is about to drain
 *   GET /replicas?after=<version>  the healthy replicas, at once when `after` is not the present version, else when it changes
 */
import { Type, type Static } from '@sinclair/typebox';
import { strict } from '../../src/contract/schemas.ts';

/** As whom the registry is called. */
export const REGISTRY = 'registry';

const Origin = Type.String({ pattern: '^https?://[^/?#@\\s]{1,255}$' });

export const ReplicaRecord = strict({
  service: Type.String({ minLength: 1, maxLength: 64 }),
  modules: Type.Array(Type.String({ minLength: 1, maxLength: 64 }), { minItems: 1, maxItems: 100 }),
  public: Origin,
  internal: Origin,
});

export type ReplicaRecord = Static<typeof ReplicaRecord>;

export const Listing = strict({
  /** Another one with each start of the registry. */
  epoch: Type.String(),
  /** Opaque; another one says that something has changed, also across a restart of the registry. */
  version: Type.String(),
  /** The registry has started a moment ago and may not have heard of all: nobody is gone because this epoch has not listed it yet. */
  settling: Type.Boolean(),
  replicas: Type.Record(Type.String(), ReplicaRecord),
});

export type Listing = Static<typeof Listing>;

export const HEARTBEAT_MS = 1_000;
/** Some heartbeats may get lost, or be late on a busy machine. */
export const EXPIRY_MS = 5_000;
/** A look that finds no change is answered then, and repeated. */
export const LONG_POLL_MS = 20_000;
