/** A small project of which every line is known: books are lent, and who is late is fined. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readTree } from '../../src/check/source/tree.ts';
import { projectRoot } from '../../src/host/discover.ts';
import { readShop, type Shop } from './shop.ts';

/** @param changes other texts for some of its files, by path */
export async function library(changes: Readonly<Record<string, string>> = {}): Promise<Shop> {
  const root = join(import.meta.dirname, 'fixtures', 'library');
  // Node.js would take a package.json in the folder for where #kernel is to be looked up.
  const manifest = readFileSync(join(projectRoot, 'package.json'), 'utf8');
  return readShop(root, new Map([...readTree(root), ['package.json', manifest], ...Object.entries(changes)]));
}
