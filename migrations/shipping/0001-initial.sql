-- One row per order. A row without a tracking number is no shipment but a memory: the order was cancelled before
-- its shipment was made, or goes where the shop does not deliver. It keeps no personal data.
create table shipment (
  id uuid primary key,
  order_id uuid not null,
  status text not null,
  customer_id uuid,
  tracking_number text,
  address jsonb,
  items jsonb,
  cancel_reason text,
  created_at timestamptz not null default now(),
  dispatched_at timestamptz,
  delivered_at timestamptz,
  cancelled_at timestamptz,
  constraint shipment_order_unique unique (order_id),
  constraint shipment_tracking_number_unique unique (tracking_number),
  constraint shipment_status_check check (status in ('preparing', 'dispatched', 'delivered', 'cancelled', 'refused')),
  constraint shipment_memory_check check (
    case when tracking_number is null then num_nonnulls(customer_id, address, items) = 0 and status in ('cancelled', 'refused')
    else num_nulls(customer_id, address, items) = 0 and status <> 'refused' end),
  constraint shipment_times_check check (
    (dispatched_at is not null) = (status in ('dispatched', 'delivered'))
    and (delivered_at is not null) = (status = 'delivered')
    and (cancelled_at is not null) = (status = 'cancelled'))
);
create index shipment_customer on shipment (customer_id, id) where customer_id is not null;
