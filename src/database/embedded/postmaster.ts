/** What PostgreSQL itself says about the server on a data folder: its `postmaster.pid`, and the process behind it. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Postmaster {
  readonly pid: number;
  readonly port: number | undefined;
  /** `starting`, `ready`, `standby` or `stopping`; empty while the file is being written. */
  readonly status: string;
}

/** Above every process id that Linux, macOS or Windows hands out, so nobody has it. */
const NOBODYS_PID = 2_147_483_646;

const LINE = { pid: 0, port: 3, status: 7 } as const;

/** The server that the data folder names as its own, dead or alive. One that stops may remove the file at any moment. */
export function readPostmaster(data: string): Postmaster | undefined {
  const claim = contentOf(join(data, 'postmaster.pid'));
  if (claim === undefined) return undefined;
  const lines = claim.split('\n').map((line) => line.trim());
  return { pid: Number(lines[LINE.pid]), port: Number(lines[LINE.port]) || undefined, status: lines[LINE.status] ?? '' };
}

/** What the file holds; undefined when there is none. Asking first whether there is one would leave a gap for it to vanish in. */
function contentOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whether the process is alive and is PostgreSQL on this data folder, and not another one that got its id later. */
export function isServing(pid: number, data: string): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  return existsSync('/proc/self/cmdline') ? isServingByProc(pid, data) : isServingByPs(pid, data);
}

/**
 * As `isServing`, for who looks again and again at a server that served a moment ago. Where there is no /proc the process
 * is not looked at more closely, since that would take a process each time.
 */
export function stillServes(pid: number, data: string): boolean {
  if (existsSync('/proc/self/cmdline')) return isServingByProc(pid, data);
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** The working folder is looked at too: it stays right when the project was moved under a running server. */
function isServingByProc(pid: number, data: string): boolean {
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return command[0]!.endsWith('postgres') && (command.includes(data) || readlinkSync(`/proc/${pid}/cwd`) === data);
  } catch {
    return false;
  }
}

function isServingByPs(pid: number, data: string): boolean {
  const { stdout } = spawnSync('ps', ['-ww', '-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
  return /postgres -D/.test(stdout) && stdout.includes(` ${data} `);
}

/**
 * Takes a dead server's claim off the data folder. PostgreSQL does so itself unless another process has the id now.
 * The file is not removed: PostgreSQL reads from it whether children of the dead server still use its memory.
 */
export function disown(data: string): void {
  const file = join(data, 'postmaster.pid');
  const claim = contentOf(file);
  if (claim === undefined) return;
  const [, ...rest] = claim.split('\n');
  writeFileSync(file, [NOBODYS_PID, ...rest].join('\n'));
}
