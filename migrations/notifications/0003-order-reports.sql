-- What orders still has to be told: that a message about an order was sent or given up. A row is there from the moment at which its
-- message is recorded until orders has answered.
create table order_report (
  -- The message's.
  id uuid primary key,
  order_id uuid not null,
  -- The message in a line, as it will stand on the order's record: not what it says, but what it is about.
  topic text not null,
  -- How the message ended, and when; empty while it is queued.
  outcome text,
  ended_at timestamptz,
  constraint order_report_outcome_check check (outcome in ('sent', 'failed')),
  constraint order_report_ended_at_check check ((ended_at is not null) = (outcome is not null))
);

-- Holds only what can be reported: a long queue of messages costs the look every second nothing.
create index order_report_ended_at_index on order_report (ended_at) where outcome is not null;
