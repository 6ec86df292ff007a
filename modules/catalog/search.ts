/**
 * Full-text search over names and descriptions that forgives slips.
 *
 * A query is a set of words that must all occur. PostgreSQL compares their stems. Where that finds nothing, a word whose stem
 * no product has is looked up by trigrams among the words that there are, and may then stand for the nearest of them. So a slip
 * costs a look at the vocabulary, whose size follows the language, and not one at every name in the catalog; and who makes none
 * asks the database once.
 */
import type { Sql } from '#kernel';
import { columns } from './listing.ts';
import type { Product } from './product.ts';
import { mayBeMisspelt, suggestions, swaps } from './spelling.ts';

const MAX_WORDS = 10;
const MAX_WORD_LENGTH = 40;

/** Ranking is linear in the matches: with more of them than this, those found first are ranked. */
const MAX_RANKED = 1_000;

/** Weights of D, C, B, A: a word in the name counts several times what it does in the description. */
const WEIGHTS = '{0.1, 0.1, 0.25, 1}';

/** Where a page of results ended. */
export interface Rank {
  readonly rank: number;
  readonly id: string;
}

export type Ranked = Product & Rank;

/** The words of a query, in lower case, each once. */
export function wordsOf(query: string): string[] {
  const words = query.normalize('NFKC').toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
  return [...new Set(words.map((word) => word.slice(0, MAX_WORD_LENGTH)))].slice(0, MAX_WORDS);
}

/** Products that have all the words, or else what may have been meant by them: best first, then newest first; those after `after` when it is given. */
export async function search(db: Sql, words: readonly string[], limit: number, after?: Rank): Promise<Ranked[]> {
  if (words.length === 0) return [];
  const found = await matches(db, tsquery(words), limit, after);
  if (found.length > 0) return found;
  const meant = await meanings(db, words.filter(mayBeMisspelt));
  return meant.size === 0 ? [] : matches(db, tsquery(words, meant), limit, after);
}

async function matches(db: Sql, query: string, limit: number, after?: Rank): Promise<Ranked[]> {
  return db.sql<Ranked>(
    `select ${columns}, rank
     from (
       select *, ts_rank('${WEIGHTS}', search, query, 1)::float8 as rank
       from (
         select * from product, to_tsquery('pg_catalog.english', $1) as query
         where search @@ query and deleted_at is null limit ${MAX_RANKED}
       ) as found
     ) as ranked
     where $2::float8 is null or (rank, id) < ($2, $3::uuid)
     order by rank desc, id desc limit $4`,
    [query, after?.rank, after?.id, limit],
  );
}

/** Makes the words of products known, so that they can be suggested. Words of deleted products stay: they match nothing. */
export async function learnWords(db: Sql, texts: readonly string[]): Promise<void> {
  await db.sql(
    `insert into word (word, stem)
     select word, (tsvector_to_array(to_tsvector('pg_catalog.english', word)))[1]
     from (
       select distinct unnest(tsvector_to_array(to_tsvector('pg_catalog.simple', translate(text, '-/._', '    ')))) as word
       from unnest($1::text[]) as text
     ) as used
     where length(word) between 3 and ${MAX_WORD_LENGTH} and word !~ '[0-9]'
       and to_tsvector('pg_catalog.english', word) <> ''
     order by word
     on conflict do nothing`,
    [texts],
  );
}

/** Words consist of letters and digits alone, so nothing in them means anything to `to_tsquery`. */
function tsquery(words: readonly string[], meant: ReadonlyMap<string, readonly string[]> = new Map()): string {
  return words.map((word) => `(${[word, ...(meant.get(word) ?? [])].join(' | ')})`).join(' & ');
}

/** For words that no product has, the known ones that may have been meant, if there are any. */
async function meanings(db: Sql, words: readonly string[]): Promise<Map<string, readonly string[]>> {
  if (words.length === 0) return new Map();
  const rows = await db.sql<{ asked: string; known: string[] }>(
    `select asked.word as asked, array_agg(near.word) as known
     from unnest($1::text[], $2::text[]) as asked (word, swaps)
     cross join lateral (select (tsvector_to_array(to_tsvector('pg_catalog.english', asked.word)))[1] as stem) as lexeme
     cross join lateral (
       (select word from word order by word operator(public.<->) asked.word limit 20)
       union
       (select word from word where word = any (string_to_array(asked.swaps, ' ')))
     ) as near
     where lexeme.stem is not null and not exists (select from word where word.stem = lexeme.stem)
     group by asked.word`,
    [words, words.map((word) => swaps(word).join(' '))],
  );
  return new Map(rows.map(({ asked, known }) => [asked, suggestions(asked, known)] as const).filter(([, near]) => near.length > 0));
}
