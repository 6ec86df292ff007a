/** docs/settings.md: every environment variable that the shop reads. */
import { describeSettings } from '../../settings/describe-settings.ts';
import { kernelSettings } from '../../settings/kernel-settings.ts';
import { generatedNote, page } from './markdown.ts';
import type { ShopModel } from './model.ts';

export function settingsPage({ modules }: ShopModel): string {
  const schemas = Object.fromEntries(modules.map(({ name, settings }) => [name, settings]));
  return page(
    generatedNote,
    '# Settings',
    'Environment variables, checked at start: a bad one is named with what was expected. A variable that is unset or empty takes its default.',
    describeSettings({ kernel: kernelSettings, ...schemas }).trimEnd(),
  );
}
