/**
 * Loaded before a measured process's own code: tells the benchmark on request what the process has used, and ends
 * it when the benchmark is gone.
 */
export interface Usage {
  /** CPU time since the process began, user and system, all its threads. */
  readonly cpuUs: number;
  readonly residentBytes: number;
}

process.on('message', (question) => {
  if (question !== 'usage') return;
  const { user, system } = process.cpuUsage();
  process.send!({ cpuUs: user + system, residentBytes: process.memoryUsage.rss() } satisfies Usage);
});
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
