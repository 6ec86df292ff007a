/** Secrets of a development machine, for tools such as the demo. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

export function keepIn(dataDir: string) {
  return async (name: string, secret: Readonly<Record<string, string>>): Promise<void> => {
    const folder = resolve(import.meta.dirname, '..', dataDir);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, `${name}.json`), `${JSON.stringify(secret)}\n`, { mode: 0o600 });
  };
}
