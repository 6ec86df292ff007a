/** What must leave the shop through no reply, well answered or refused: traces of its code, its SQL, its files, its host. */
import { hostname } from 'node:os';
import { projectRoot } from '../../src/host/discover.ts';

/** Shorter names of hosts are words that a reply may well contain. */
const SHORTEST_HOST = 4;
/** So much of a text must come back at the least for it to be a repetition: a statement begins like many others. */
const LEAST_REPEATED = 20;

const LEAKS: readonly RegExp[] = [
  /\bat (async )?[\w.<>#[\] ]*\(?(file:|\/|node:)/,
  /\bnode_modules\b|\bnode:internal\b|\bfile:\/\//,
  /\/[\w-]+\.(ts|js|mjs|sql)\b/,
  /\bselect\b.{1,200}\bfrom\b|\bupdate [\w."]+ set\b|\b(insert into|delete from)\b|\b(create|alter|drop) (table|index|schema|role)\b/is,
  /\brelation "|syntax (error|for type)|\bduplicate key value\b|\bviolates [\w-]+ constraint\b/,
  /\b(column|function|type|role|database|schema) "?[\w.]+(\([^)]*\))?"? (of relation .{1,100} )?does not exist\b|\bpermission denied (for|to)\b/,
  /\b(out of range|too long) for type\b|\binvalid byte sequence\b|\b[A-Z]\w*Exception\b/,
  /(?<![\w.-])\/(var|tmp|etc|home|root|usr|opt|srv|proc|dev|private)\/[\w.-]/,
  /\bE(CONNREFUSED|CONNRESET|CONNABORTED|PIPE|TIMEDOUT|NOTFOUND|AI_AGAIN|HOSTUNREACH|NETUNREACH|NOENT|ACCES|PERM|EXIST|MFILE)\b/,
  /127\.0\.0\.1|\bpostgres(ql)?:\/\//,
  literally(projectRoot),
  ...(hostname().length >= SHORTEST_HOST ? [literally(hostname())] : []),
];

/** Texts that came from outside and look like a leak: a product may well be named like a statement, and is shown again and again. */
export class Said {
  readonly #texts: Set<string>;
  #last: readonly string[] = [];

  constructor(texts: readonly string[] = []) {
    this.#texts = new Set(texts);
  }

  /** Of one request: bodies as they are sent, and parts of its URL. */
  add(...texts: readonly (string | undefined)[]): void {
    const all = texts.flatMap((each) => (each === undefined ? [] : [each, ...textsIn(parsed(each))]));
    this.#last = all.filter((text) => LEAKS.some((leak) => leak.test(text)));
    for (const text of this.#last) this.#texts.add(text);
  }

  /** What the last request said. */
  get last(): Said {
    return new Said(this.#last);
  }

  /** What is left of a text without what was said. */
  without(text: string): string {
    return [...this.#texts].toSorted((a, b) => b.length - a.length).reduce((left, said) => left.replaceAll(said, ' '), text);
  }

  /** Whether what was found in a text is part of something said that the text repeats: replies shorten what they repeat. */
  has({ 0: part, index, input }: RegExpExecArray): boolean {
    return [...this.#texts].some((text) => text.includes(part) && repeated(text, input, index, index + part.length) >= Math.min(LEAST_REPEATED, text.length - 1));
  }
}

/** @param said what the body may repeat */
export function leaks(body: unknown, said: Said): string[] {
  const texts = typeof body === 'string' ? body.split('\n') : textsIn(body);
  return texts.flatMap((text) => {
    const own = said.without(text);
    const found = LEAKS.map((leak) => leak.exec(own)).find((part) => part !== null && !said.has(part));
    return found ? [`it leaks ${JSON.stringify(found[0])}: ${text.slice(0, 500)}`] : [];
  });
}

/** How many characters around a part of `text` stand together in what was said. */
function repeated(said: string, text: string, from: number, to: number): number {
  let [start, end] = [from, to];
  while (start > 0 && said.includes(text.slice(start - 1, end))) start -= 1;
  while (end < text.length && said.includes(text.slice(start, end + 1))) end += 1;
  return end - start;
}

/** All texts of a value, names of fields included. Without recursion: what is sent may be nested deeper than any stack. */
function textsIn(value: unknown): string[] {
  const texts: string[] = [];
  const left = [value];
  while (left.length > 0) {
    const next = left.pop();
    if (typeof next === 'string') texts.push(next);
    else if (typeof next === 'object' && next !== null) for (const [name, inner] of Object.entries(next)) left.push(name, inner);
  }
  return texts;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function literally(text: string): RegExp {
  return new RegExp(`(?<![\\w-])${text.replaceAll(/[^\w/-]/g, '\\$&')}(?![\\w-])`);
}
