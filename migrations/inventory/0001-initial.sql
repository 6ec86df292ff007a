-- What lies on the shelf, what of it is spoken for by which order, and who changed it by hand.

-- The hot table: one row per product, updated by every order. Half-empty pages keep the updates heap-only.
create table stock (
  product_id uuid primary key,
  on_hand bigint not null default 0,
  reserved bigint not null default 0,
  discontinued_at timestamptz,
  constraint stock_reserved_check check (reserved >= 0 and reserved <= on_hand)
) with (fillfactor = 50);

-- The lines stand in the row as two arrays of one length: one insert per reservation, and `unnest` turns them
-- back into rows without parsing JSON. `released_from` is the status that a release found, so that a returned
-- piece can be told from one that never left.
create table reservation (
  order_id uuid primary key,
  status text not null,
  released_from text,
  product_ids uuid[] not null default '{}',
  quantities bigint[] not null default '{}',
  missing uuid[] not null default '{}',
  expires_at timestamptz,
  created_at timestamptz not null default now(),
  settled_at timestamptz,
  constraint reservation_status_check check (status in ('reserved', 'committed', 'released', 'out_of_stock', 'expired')),
  constraint reservation_lines_check check (cardinality(product_ids) = cardinality(quantities)),
  constraint reservation_expiry_check check (status <> 'reserved' or expires_at is not null)
) with (fillfactor = 80);
create index reservation_due on reservation (expires_at) where status = 'reserved';

-- Changes by hand. on_hand of a product = sum of its deltas - what was committed and has not come back.
-- `actor_id` is empty for the demo stock.
create table adjustment (
  id uuid primary key,
  product_id uuid not null,
  delta bigint not null,
  on_hand bigint not null,
  reason text not null,
  actor_id uuid,
  created_at timestamptz not null default now(),
  constraint adjustment_delta_check check (delta <> 0)
);
create index adjustment_product on adjustment (product_id, id);

create function adjustment_is_append_only() returns trigger language plpgsql as $$
begin
  raise exception 'adjustments are append only: correct one by another';
end
$$;
create trigger adjustment_append_only before update or delete on adjustment
  for each row execute function adjustment_is_append_only();
