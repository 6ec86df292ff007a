-- A token names the generation that it was signed in; a change of role or password begins the next one, which withdraws
-- all tokens of earlier ones. The time says how long they have to be told of.
alter table account
  add column token_generation int not null default 0,
  add column tokens_withdrawn_at timestamptz;
create index account_tokens_withdrawn_at on account (tokens_withdrawn_at, id) where tokens_withdrawn_at is not null;
