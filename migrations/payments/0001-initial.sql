-- What may be charged: one row per order, and the lock that everything about its money takes first.
-- A row that `close` made before anything else was known has no amount and perhaps no customer (a tombstone).
create table payable (
  order_id uuid primary key,
  customer_id uuid,
  amount bigint,
  currency text,
  status text not null,
  close_reason text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint payable_status_check check (status in ('open', 'paid', 'closed')),
  constraint payable_amount_check check (amount >= 0),
  constraint payable_is_whole_unless_closed check (status = 'closed' or (customer_id is not null and amount is not null and currency is not null))
);

-- One attempt to charge an order. Its id is the key under which the gateway is asked, so the row must be
-- committed before the gateway is: then no crash can leave a charge that nobody knows of.
create table payment (
  id uuid primary key,
  order_id uuid not null constraint payment_order_id_foreign references payable (order_id),
  customer_id uuid not null,
  amount bigint not null,
  currency text not null,
  status text not null,
  origin text not null,
  transaction_id text,
  message text not null default '',
  refunded bigint not null default 0,
  refunding bigint not null default 0,
  idempotency_key text,
  leased_until timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint payment_status_check check (status in ('pending', 'completed', 'declined', 'failed', 'partially_refunded', 'refunded')),
  constraint payment_origin_check check (origin in ('customer', 'fulfilment')),
  constraint payment_gives_back_no_more_than_it_took check (refunded >= 0 and refunding >= 0 and refunded + refunding <= amount),
  constraint payment_is_leased_while_pending check ((status = 'pending') = (leased_until is not null)),
  constraint payment_taken_has_a_transaction check (transaction_id is not null or status in ('pending', 'declined', 'failed'))
);
-- The last line of defence against charging twice: one attempt at a time, one success for ever.
create unique index payment_one_pending on payment (order_id) where status = 'pending';
create unique index payment_one_taken on payment (order_id) where status in ('completed', 'partially_refunded', 'refunded');
create index payment_of_order on payment (order_id, id);
create index payment_abandoned on payment (leased_until) where status = 'pending';

-- Money on its way back. Never given up: a pending refund is asked for until the gateway has carried it out.
create table refund (
  id uuid primary key,
  payment_id uuid not null constraint refund_payment_id_foreign references payment (id),
  order_id uuid not null,
  amount bigint not null,
  currency text not null,
  reason text not null,
  status text not null,
  requested_by uuid,
  idempotency_key text,
  leased_until timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint refund_status_check check (status in ('pending', 'completed')),
  constraint refund_amount_check check (amount > 0),
  constraint refund_is_leased_while_pending check ((status = 'pending') = (leased_until is not null))
);
create index refund_of_order on refund (order_id, id);
create index refund_abandoned on refund (leased_until) where status = 'pending';

-- The books: double entry, append-only. `transaction_id` is the id of the payment or refund that is booked;
-- with the account it is unique, so nothing is ever booked twice.
create table ledger_entry (
  id uuid primary key,
  transaction_id uuid not null,
  account text not null check (account in ('gateway_receivable', 'sales', 'refunds')),
  order_id uuid not null,
  payment_id uuid not null references payment (id),
  debit bigint not null check (debit >= 0),
  credit bigint not null check (credit >= 0),
  currency text not null,
  created_at timestamptz not null default now(),
  check ((debit = 0) <> (credit = 0)),
  unique (transaction_id, account)
);
create index ledger_entry_of_order on ledger_entry (order_id);

create function ledger_is_append_only() returns trigger language plpgsql as $$
begin
  raise exception 'the ledger is append-only: correct it with a new transaction' using errcode = 'restrict_violation';
end
$$;
create trigger ledger_append_only before update or delete or truncate on ledger_entry
  for each statement execute function ledger_is_append_only();

-- Looks at the commit, when all entries of a transaction are there.
create function ledger_must_balance() returns trigger language plpgsql set search_path from current as $$
begin
  if exists (
    select from ledger_entry where transaction_id = new.transaction_id group by currency having sum(debit) <> sum(credit)
  ) then
    raise exception 'the ledger transaction % does not balance: its debits must equal its credits', new.transaction_id using errcode = 'check_violation';
  end if;
  return null;
end
$$;
create constraint trigger ledger_balances after insert on ledger_entry
  deferrable initially deferred for each row execute function ledger_must_balance();

-- Idempotency keys of POST /payments and POST /payments/{id}/refund; DDL as src/http/idempotency.ts has it.
create table idempotency_key (
  owner_id uuid not null,
  key text not null,
  fingerprint text not null,
  status int,
  response jsonb,
  created_at timestamptz not null default now(),
  primary key (owner_id, key)
);

-- The memory of the simulated card processor. It stands for another company's database: written by single
-- statements outside our transactions, so that it survives our crashes and rollbacks as a real processor would.
create table simulator_charge (
  key text primary key,
  outcome text not null check (outcome in ('approved', 'declined', 'voided')),
  transaction_id text unique,
  message text not null,
  amount bigint not null,
  currency text not null,
  created_at timestamptz not null default now()
);

create table simulator_refund (
  key text primary key,
  transaction_id text not null,
  amount bigint not null check (amount > 0),
  created_at timestamptz not null default now()
);
create index simulator_refund_of_charge on simulator_refund (transaction_id);
