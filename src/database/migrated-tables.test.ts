import t from 'tap';
import { tablesIn } from './migrated-tables.ts';

t.test('tables are read off migrations in whatever form they are written', async (t) => {
  const scripts = [
    'create table a (id uuid primary key); create table b (word text, unique (word));',
    "create table if not exists \"c\" (\n  id uuid primary key,\n  -- create table dream (id int);\n  at timestamptz check (at > now()))",
    'create table d (n int);\nalter table b add primary key (word);\nalter table a add column n bigserial;',
    'alter table c rename to e; drop table if exists d;',
  ];
  t.strictSame(tablesIn(scripts), [
    { name: 'a', columns: ['id', 'n'], hasPrimaryKey: true, hasSequence: true },
    { name: 'b', columns: ['word'], hasPrimaryKey: true, hasSequence: false },
    { name: 'e', columns: ['id', 'at'], hasPrimaryKey: true, hasSequence: false },
  ]);
});

/** What becomes of a table of two columns, and the columns that it has then. */
const changes: readonly [sql: string, columns: readonly string[]][] = [
  ['', ['id', 'note']],
  ['alter table a add column n int, add price numeric(10, 2) default 0, add column if not exists "Mixed" text', ['id', 'note', 'n', 'price', 'Mixed']],
  ['alter table a add column if not exists note text', ['id', 'note']],
  ['ALTER TABLE\n  ONLY shelf.A\n  ADD COLUMN Loud text', ['id', 'note', 'loud']],
  ['alter table a drop column note, drop column if exists never', ['id']],
  ['alter table a drop note', ['id']],
  ['alter table a rename column note to remark; alter table a rename id to key', ['key', 'remark']],
  ['alter table a add constraint a_check check (note <> \'\'), add unique (note), add primary key (id)', ['id', 'note']],
  ['alter table a drop constraint id, alter column note drop not null, rename constraint b to c', ['id', 'note']],
  ['alter table b add column n int; drop table b, c cascade', ['id', 'note']],
  ['comment on table a is \'; alter table a drop column note;\'; create function f() returns void language sql as $$ alter table a drop column note; $$', ['id', 'note']],
  ['/* alter table a drop column note; */ -- alter table a drop column id;', ['id', 'note']],
  ['drop table a; create unlogged table a (like b including all, two int, exclude using gist (two with =), primary key (two))', ['two']],
  ['drop table a; create table a (one int, constraint two check (one > 0), foreign key (one) references b (id), three text[] default \'{}\', "check" int)', ['one', 'three', 'check']],
];

for (const [sql, columns] of changes) {
  t.test(`columns after: ${sql.replaceAll(/\s+/g, ' ') || 'nothing more'}`, async (t) => {
    const [table, ...others] = tablesIn(['create table a (id uuid, note text not null check (note in (\'x\', \'y\')))', sql]);
    t.strictSame([table?.columns, others], [columns, []]);
  });
}
