create table category (
  id uuid primary key,
  name text not null,
  created_at timestamptz(3) not null
);
create unique index category_name_unique on category (lower(name));

create table product (
  id uuid primary key,
  name text not null,
  description text not null,
  price_amount bigint not null,
  price_currency text not null,
  category_id uuid,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  deleted_at timestamptz(3),
  search tsvector not null generated always as (
    setweight(to_tsvector('pg_catalog.english', translate(name, '-/._', '    ')), 'A')
    || setweight(to_tsvector('pg_catalog.english', translate(description, '-/._', '    ')), 'B')
  ) stored,
  constraint product_price_amount_check check (price_amount > 0),
  constraint product_category_id_foreign foreign key (category_id) references category (id)
);

-- One index for each order of the list, with and without a category. Deleted products are in none of them. The one of
-- the search takes new words at once: they are written once and searched often.
create index product_newest on product (created_at, id) where deleted_at is null;
create index product_price on product (price_amount, id) where deleted_at is null;
create index product_name on product (lower(name), id) where deleted_at is null;
create index product_category_newest on product (category_id, created_at, id) where deleted_at is null;
create index product_category_price on product (category_id, price_amount, id) where deleted_at is null;
create index product_category_name on product (category_id, lower(name), id) where deleted_at is null;
create index product_search on product using gin (search) with (fastupdate = off) where deleted_at is null;

-- Every word of every product, so that a misspelt one can be told and mended. Its size follows the language, not the
-- catalog, and so does what a slip costs; trigrams of the names themselves would be compared with each product.
create table word (
  word text primary key,
  stem text not null
);
create index word_stem on word (stem);
create index word_near on word using gist (word public.gist_trgm_ops);
