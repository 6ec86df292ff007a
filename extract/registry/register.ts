/**
 * Who is there, and how they are; pure but for the clock that it is given.
 *
 *   (registered) unproven --ready-----------------------------> healthy
 *   healthy --not ready, or nobody listens--------------------> unhealthy
 *   healthy --no answer in time, twice in a row---------------> unhealthy
 *   unhealthy --ready-----------------------------------------> healthy
 *   any --deregistered, or no heartbeat for EXPIRY_MS---------> forgotten
 *
 * Healthy ones are listed. Each change of the list is a new version of it. After its start the register is settling until each replica
 * that lives has had the time for a heartbeat: a registry that was away must not make its clients forget everybody.
 */
import { randomUUID } from 'node:crypto';
import { EXPIRY_MS, type Listing, type ReplicaRecord } from './protocol.ts';

export type Finding = 'ready' | 'refused' | 'silent';

interface Entry {
  record: ReplicaRecord;
  seenAt: number;
  isHealthy: boolean;
  silences: number;
}

const SILENCES = 2;
/** Longer than between two looks at the time: the register itself has stood still, and heartbeats may lie unread. */
const PAUSE_MS = 1_000;

export class Register {
  readonly #epoch = randomUUID().slice(0, 8);
  readonly #entries = new Map<string, Entry>();
  readonly #onChange: () => void;
  #startedAt: number;
  #passedAt: number;
  #settling = true;
  #changes = 0;

  /** @param now in milliseconds, of a clock that is never set back; as everywhere here */
  constructor(now: number, onChange: () => void) {
    this.#startedAt = now;
    this.#passedAt = now;
    this.#onChange = onChange;
  }

  get version(): string {
    return `${this.#epoch}-${this.#changes}`;
  }

  /** Those that are registered, healthy or not. */
  get registered(): readonly (readonly [string, ReplicaRecord])[] {
    return [...this.#entries].map(([id, { record }]) => [id, record] as const);
  }

  record(id: string): ReplicaRecord | undefined {
    return this.#entries.get(id)?.record;
  }

  listing(): Listing {
    const healthy = [...this.#entries].filter(([, { isHealthy }]) => isHealthy).map(([id, { record }]) => [id, record] as const);
    return { epoch: this.#epoch, version: this.version, settling: this.#settling, replicas: Object.fromEntries(healthy) };
  }

  /** @returns whether it was not known as it is */
  heartbeat(id: string, record: ReplicaRecord, now: number): boolean {
    const known = this.#entries.get(id);
    if (known && JSON.stringify(known.record) === JSON.stringify(record)) {
      known.seenAt = now;
      return false;
    }
    this.deregister(id);
    this.#entries.set(id, { record, seenAt: now, isHealthy: false, silences: 0 });
    return true;
  }

  deregister(id: string): void {
    const known = this.#entries.get(id);
    this.#entries.delete(id);
    if (known?.isHealthy) this.#changed();
  }

  found(id: string, finding: Finding): void {
    const entry = this.#entries.get(id);
    if (!entry) return;
    entry.silences = finding === 'silent' ? entry.silences + 1 : 0;
    const isHealthy = finding === 'ready' || (finding === 'silent' && entry.isHealthy && entry.silences < SILENCES);
    if (isHealthy === entry.isHealthy) return;
    entry.isHealthy = isHealthy;
    this.#changed();
  }

  /** Forgets those that are silent for too long, by the time in which they could have been heard; to be called twice a second. */
  passTime(now: number): void {
    const passed = now - this.#passedAt;
    this.#passedAt = now;
    if (passed > PAUSE_MS) this.#wait(passed);
    for (const [id, { seenAt }] of this.#entries) if (now - seenAt > EXPIRY_MS) this.deregister(id);
    if (!this.#settling || now - this.#startedAt <= EXPIRY_MS) return;
    this.#settling = false;
    this.#changed();
  }

  #wait(ms: number): void {
    this.#startedAt += ms;
    for (const entry of this.#entries.values()) entry.seenAt += ms;
  }

  #changed(): void {
    this.#changes += 1;
    this.#onChange();
  }
}
