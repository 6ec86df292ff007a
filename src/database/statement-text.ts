/**
 * What may be shown of a statement's text. Ours carry parameters as $1, but MikroORM writes values into the text of
 * what it sends, so each literal is replaced by a question mark.
 */
export interface StatementText {
  readonly sanitised: string;
  /** Operations and tables in their order, e.g. `INSERT order_event SELECT customer_order`. */
  readonly summary: string;
}

/** Texts that come again are looked at once; those of MikroORM differ each time, so that all are forgotten now and then. */
const MOST_KNOWN = 500;
const known = new Map<string, StatementText>();

export function textOf(text: string): StatementText {
  const found = known.get(text);
  if (found) return found;
  const sanitised = sanitise(text);
  const made = { sanitised, summary: summarise(sanitised) };
  if (known.size >= MOST_KNOWN) known.clear();
  known.set(text, made);
  return made;
}

/**
 * In the order in which PostgreSQL's scanner would take them: comments, texts with backslashes that escape (E''), other
 * texts, dollar-quoted texts, quoted names and parameters (both kept), numbers. What is not closed reaches to the end.
 */
const TOKENS =
  /--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|(?<![A-Za-z0-9_$])[eE]'(?:[^'\\]|\\[\s\S]|'')*(?:'|$)|'(?:[^']|'')*(?:'|$)|(?<![A-Za-z0-9_$])\$([A-Za-z_][A-Za-z0-9_]*)?\$[\s\S]*?(?:\$\1\$|$)|"(?:[^"]|"")*(?:"|$)|\$\d+|(?<![A-Za-z0-9_$.])(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/g;

function sanitise(text: string): string {
  return text.replace(TOKENS, shown).replace(/\s+/g, ' ').trim();
}

function shown(token: string): string {
  if (token.startsWith('--') || token.startsWith('/*')) return ' ';
  return token.startsWith('"') || /^\$\d+$/.test(token) ? token : '?';
}

const NAME = String.raw`("?[A-Za-z_][\w$]*"?(?:\."?[A-Za-z_][\w$]*"?)?)`;
/** What is in front decides: `for update`, `do update`, `is distinct from` and `extract (epoch from …)` are something else. */
const PARTS = new RegExp(String.raw`\b(?:(for|key|do|distinct|epoch)\s+)?(?:(begin|commit|rollback|select)\b|(insert\s+into|update|delete\s+from|from|join)\s+${NAME}(\s*\()?)`, 'gi');
const COMMON_TABLE = /(?:\bwith\s+(?:recursive\s+)?|\)\s*,\s*)(\w+)(?:\s*\([^()]*\))?\s+as\s+(?:not\s+materialized\s+|materialized\s+)?\(/gi;
/** They read; whatever else names a table changes it. */
const READS = new Set(['FROM', 'JOIN']);
/** pg-boss names a queue's partition of its table `job` by a hash. */
const PARTITION = /\bj[0-9a-f]{40,}$/;
const NO_TABLES = new Set(['lateral', 'rows']);

/** A `select` without a table of its own, as around a common table expression, says nothing and is left out. */
function summarise(sanitised: string): string {
  const ours = new Set([...sanitised.matchAll(COMMON_TABLE)].map(([, name]) => name!.toLowerCase()));
  const parts: string[] = [];
  let reads = false;
  for (const [, before, alone, keyword, name, bracket] of sanitised.matchAll(PARTS)) {
    if (before !== undefined) continue;
    const word = (alone ?? keyword!).split(' ', 1)[0]!.toUpperCase();
    if (word === 'SELECT') reads = true;
    else if (!READS.has(word)) parts.push(word);
    const isTable = name !== undefined && !NO_TABLES.has(name.toLowerCase()) && !ours.has(name.toLowerCase()) && !(READS.has(word) && bracket !== undefined);
    if (!isTable) continue;
    if (reads && word === 'FROM') parts.push('SELECT');
    reads &&= word !== 'FROM';
    const table = name.replaceAll('"', '').replace(PARTITION, 'job');
    if (parts.at(-1) !== table) parts.push(table);
  }
  return parts.join(' ') || sanitised.split(' ', 1)[0]!.toUpperCase();
}
