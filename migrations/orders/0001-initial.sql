create table customer_order (
  id uuid primary key,
  customer_id uuid not null,
  status text not null check (status in ('pending', 'awaiting_payment', 'paid', 'confirmed', 'shipped', 'delivered', 'rejected', 'cancelled')),
  status_reason text,
  total bigint not null check (total >= 0),
  currency text not null,
  pays_later boolean not null,
  shipping_address jsonb not null,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index customer_order_by_customer on customer_order (customer_id, id);

create table order_item (
  order_id uuid not null constraint order_item_order_id_foreign references customer_order (id),
  line smallint not null,
  product_id uuid not null,
  name text not null,
  quantity int not null check (quantity > 0),
  unit_price bigint not null check (unit_price >= 0),
  primary key (order_id, line)
);

-- What happened to an order, step by step; append only.
create table order_event (
  id uuid primary key,
  order_id uuid not null constraint order_event_order_id_foreign references customer_order (id),
  event text not null,
  detail text not null,
  at timestamptz not null
);
create index order_event_by_order on order_event (order_id, id);

create table idempotency_key (
  owner_id uuid not null,
  key text not null,
  fingerprint text not null,
  status int,
  response jsonb,
  created_at timestamptz not null default now(),
  primary key (owner_id, key)
);
