-- What was bought together, counted from orders that were confirmed and not cancelled.

-- A counting of all orders. The current one is read; while another one is made, events are counted in both.
create table counting (
  id uuid primary key,
  status text not null,
  -- Where the reading of the orders' history is, and how many have been read. Empty for a counting from events alone.
  after_order uuid,
  orders_read int not null default 0,
  requested_at timestamptz not null default now(),
  finished_at timestamptz,
  constraint counting_status_check check (status in ('running', 'current', 'outdated'))
);
create unique index counting_status on counting (status) where status <> 'outdated';

-- What of an order is counted. A cancelled order stays, so that nothing that comes late counts it after all.
create table basket (
  counting_id uuid not null constraint basket_counting_id_foreign references counting (id),
  order_id uuid not null,
  status text not null,
  product_ids uuid[] not null,
  primary key (counting_id, order_id),
  constraint basket_status_check check (status in ('counted', 'cancelled'))
);

-- Both directions of each pair: a product's companions stand together, best first.
create table pair (
  counting_id uuid not null constraint pair_counting_id_foreign references counting (id),
  product_id uuid not null,
  companion_id uuid not null,
  orders int not null,
  primary key (counting_id, product_id, companion_id),
  constraint pair_orders_check check (orders >= 0)
) with (fillfactor = 80);
create index pair_best on pair (counting_id, product_id, orders desc, companion_id desc) where orders > 0;

-- In a new shop there is no history: what is counted from its events is complete.
insert into counting (id, status, finished_at) values ('00000000-0000-7000-8000-000000000000', 'current', now());
