/**
 * One process under supervision; pure, told what happens and when.
 *
 *   idle     --begin------------------------> starting
 *   starting --ready------------------------> up
 *   starting --ended, was never up----------> failed: it is not tried again, and the whole start is given up
 *   starting --ended, was up before---------> pausing
 *   up       --ended------------------------> pausing: 0.5 s, doubling to 30 s; 0.5 s again after 30 s of being up
 *   pausing  --begin------------------------> starting
 *   idle, pausing, failed --stop------------> stopped
 *   starting, up ---------stop--------------> stopping --ended--> stopped
 */
export type State = 'idle' | 'starting' | 'up' | 'pausing' | 'failed' | 'stopping' | 'stopped';

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
const QUIET_MS = 30_000;

export class Supervision {
  #state: State = 'idle';
  #wasUp = false;
  #upSince = 0;
  #pauseMs = 0;

  get state(): State {
    return this.#state;
  }

  /** Before the next start, while it is pausing. */
  get pauseMs(): number {
    return this.#pauseMs;
  }

  /** @returns whether a process is to be started now */
  begin(): boolean {
    if (this.#state !== 'idle' && this.#state !== 'pausing') return false;
    this.#state = 'starting';
    return true;
  }

  /** @param now in milliseconds, of a clock that is never set back */
  ready(now: number): void {
    if (this.#state !== 'starting') return;
    this.#state = 'up';
    this.#wasUp = true;
    this.#upSince = now;
  }

  ended(now: number): State {
    if (this.#state === 'stopping') this.#state = 'stopped';
    else if (this.#state === 'starting') this.#state = this.#wasUp ? this.#pause(false) : 'failed';
    else if (this.#state === 'up') this.#state = this.#pause(now - this.#upSince >= QUIET_MS);
    return this.#state;
  }

  /** @returns whether there is a process that has to end first */
  stop(): boolean {
    const isRunning = this.#state === 'starting' || this.#state === 'up' || this.#state === 'stopping';
    this.#state = isRunning ? 'stopping' : 'stopped';
    return isRunning;
  }

  #pause(wasQuiet: boolean): State {
    this.#pauseMs = wasQuiet || this.#pauseMs === 0 ? FIRST_PAUSE_MS : Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS);
    return 'pausing';
  }
}
