/**
 * Reads a topology and says all that is wrong with it at once, each with its line. A file is named by its path, one that ships by its name.
 */
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isAlias, isMap, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import { StartError } from '../../src/settings/start-error.ts';
import { violationsOf } from './schema-violations.ts';
import { type Mistake, mistakesIn } from './topology-rules.ts';
import { type Topology, type TopologyFile, topologyOf, TopologySchema } from './topology.ts';

const SHIPPED = join(import.meta.dirname, 'shipped');

/** Names of the topologies that ship. */
export async function shippedTopologies(): Promise<string[]> {
  return (await readdir(SHIPPED)).filter((file) => file.endsWith('.yaml')).map((file) => basename(file, '.yaml')).sort();
}

/**
 * @param modules all modules that there are: each must be in one service
 * @throws StartError with every mistake and its line
 */
export async function readTopology(nameOrFile: string, modules: readonly string[]): Promise<Topology> {
  const file = /[/\\.]/.test(nameOrFile) ? nameOrFile : join(SHIPPED, `${nameOrFile}.yaml`);
  const text = await readFile(file, 'utf8').catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw new StartError(`the topology ${file} cannot be read: ${error.message}`, 'Name a file that can be read.');
    throw new StartError(`there is no topology ${nameOrFile}`, `Name a YAML file, or one of those that ship: ${(await shippedTopologies()).join(', ')}.`);
  });
  return parseTopology(text, basename(file), modules);
}

/** @throws StartError with every mistake and its line */
export function parseTopology(text: string, label: string, modules: readonly string[]): Topology {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const lineAt = (offset: number | undefined): number => (offset === undefined ? 1 : lines.linePos(offset).line);
  const broken = [...document.errors, ...document.warnings].map(({ message, pos }) => ({ line: lineAt(pos[0]), message }));
  if (broken.length > 0) throw refused(label, broken);
  const value = document.toJS() as unknown;
  const located = (mistakes: readonly Mistake[]) => mistakes.map(({ path, message }) => ({ line: lineAt(offsetOf(document.contents, path)), message }));
  const misshapen = violationsOf(TopologySchema, value);
  if (misshapen.length > 0) throw refused(label, located(misshapen));
  const topology = topologyOf(value as TopologyFile);
  const wrong = mistakesIn(topology, modules);
  if (wrong.length > 0) throw refused(label, located(wrong));
  return topology;
}

function refused(label: string, mistakes: readonly { line: number; message: string }[]): StartError {
  const sentences = mistakes.toSorted((a, b) => a.line - b.line).map(({ line, message }) => `${label}:${line}  ${message}`);
  return new StartError(`the topology ${label} cannot be used:\n  ${sentences.join('\n  ')}`, 'Mend these lines.');
}

/** Where the value at a path begins, or what comes nearest to it. */
function offsetOf(root: unknown, path: readonly (string | number)[]): number | undefined {
  let node = root as Node | null;
  let offset = node?.range?.[0];
  for (const step of path) {
    if (node === null || isAlias(node) || isScalar(node)) return offset;
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step));
      offset = (pair?.key as Node | undefined)?.range?.[0] ?? offset;
      node = (pair?.value ?? null) as Node | null;
    } else {
      node = ((node as { items?: unknown[] }).items?.[Number(step)] ?? null) as Node | null;
      offset = node?.range?.[0] ?? offset;
    }
  }
  return offset;
}
