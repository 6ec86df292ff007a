-- A conversation of one customer with the shop.
create table ticket (
  id uuid primary key,
  customer_id uuid not null,
  -- The customer's own; checked with orders when the ticket was opened, and never changed.
  order_id uuid,
  subject text not null,
  status text not null,
  -- How many messages there are: what bounds them is decided under the ticket's lock.
  messages int not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  closed_at timestamptz,
  constraint ticket_status_check check (status in ('open', 'closed')),
  constraint ticket_closed_at_check check ((closed_at is not null) = (status = 'closed')),
  constraint ticket_messages_check check (messages > 0)
);
create index ticket_customer on ticket (customer_id, id);
create index ticket_order on ticket (order_id, id) where order_id is not null;
create index ticket_status on ticket (status, id);

-- Append only.
create table message (
  id uuid primary key,
  ticket_id uuid not null constraint message_ticket_id_foreign references ticket (id),
  author_id uuid not null,
  author_role text not null,
  body text not null,
  created_at timestamptz not null,
  constraint message_author_role_check check (author_role in ('customer', 'support', 'admin'))
);
create index message_ticket on message (ticket_id, id);
