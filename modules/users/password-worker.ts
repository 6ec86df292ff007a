/**
 * Worker thread that hashes passwords at a lower priority than the event loop's. Linux sets the priority of one
 * thread; elsewhere it would be the whole process's, so there the thread keeps it.
 */
import { execFileSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';
import { basename } from 'node:path';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { hashSync, verifySync } from '@node-rs/argon2';
import { argon2id, type PasswordAnswer, type PasswordJob, type PasswordThreadKind } from './password-job.ts';

/** Nice value: yields to requests, and still gets a tenth of a core when both are busy; 19 would starve. */
const YIELDING = 10;

function carryOut(job: PasswordJob): string | boolean {
  return job.kind === 'hash' ? hashSync(job.password, argon2id) : verifySync(job.hash, job.password);
}

function answer(job: PasswordJob): PasswordAnswer {
  try {
    return { result: carryOut(job) };
  } catch (error) {
    return { error: (error as Error).message };
  }
}

function yieldToRequests(kind: PasswordThreadKind): void {
  if (process.platform !== 'linux') return;
  setPriority(0, YIELDING);
  if (kind === 'patient') runOnlyWhenIdle();
}

/** The policy SCHED_IDLE of sched(7), by chrt of util-linux or busybox; where that is missing the nice value must do. */
function runOnlyWhenIdle(): void {
  try {
    execFileSync('chrt', ['-i', '-p', '0', basename(readlinkSync('/proc/thread-self'))], { stdio: 'ignore' });
  } catch {
    // It yields less well.
  }
}

function serve(port: MessagePort): void {
  yieldToRequests(workerData as PasswordThreadKind);
  port.on('message', (job: PasswordJob) => port.postMessage(answer(job)));
}

if (parentPort) serve(parentPort);
