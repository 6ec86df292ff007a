/** Settings: read from the environment, checked at start, described for the documentation. */
export { checkSettings } from './check-settings.ts';
export type { SettingsCheck } from './check-settings.ts';
export { describeSettings } from './describe-settings.ts';
export { Duration } from './duration.ts';
export { kernelSettings } from './kernel-settings.ts';
export type { KernelSettings } from './kernel-settings.ts';
export { readSettings } from './read-settings.ts';
export type { Environment, SettingsResult } from './read-settings.ts';
export { StartError } from './start-error.ts';
export { explainFailure } from './start-failure.ts';
