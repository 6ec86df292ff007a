create table message (
  id uuid primary key
);
