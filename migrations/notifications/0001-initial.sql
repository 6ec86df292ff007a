-- One row is one message of one channel to one customer about one event.
create table notification (
  id uuid primary key,
  event_id uuid not null,
  channel text not null check (channel in ('email', 'sms')),
  user_id uuid not null,
  -- Address or number as it was when the event was handled: a later change must not redirect an old message.
  recipient text not null,
  subject text not null,
  body text not null,
  status text not null check (status in ('queued', 'sent', 'failed')),
  tries int not null default 0,
  -- When a queued message may be taken next. Taking it moves this past the time a hand-over can last, so
  -- that a process that dies with a message in hand needs no clean-up.
  due_at timestamptz not null default now(),
  last_error text,
  created_at timestamptz not null default now(),
  sent_at timestamptz,
  -- The inbox makes each event's effect happen once; this says so again where the effect is stored.
  constraint notification_event_id_channel_unique unique (event_id, channel)
);

-- Ids are UUIDv7: this is also newest first.
create index notification_user_id_id_index on notification (user_id, id);

-- Holds only what is still to be handed over, so the sender's look every second costs nothing in a shop at rest.
create index notification_due_at_index on notification (due_at) where status = 'queued';
