create table received (
  event_id uuid primary key
);
