create table account (
  id uuid not null,
  username text not null,
  -- The username in lower case: names that differ only in case are one name.
  username_key text not null,
  -- In lower case, as it was normalised on the way in.
  email text not null,
  phone text,
  role text not null,
  password_hash text not null,
  created_at timestamptz not null default now(),
  constraint account_pkey primary key (id),
  constraint account_username_key_unique unique (username_key),
  constraint account_email_unique unique (email),
  constraint account_role_check check (role in ('customer', 'support', 'admin'))
);

-- Failed sign-ins in the current window, by hashed account name and by hashed address.
create table sign_in_failure (
  bucket text not null,
  failures int not null,
  resets_at timestamptz not null,
  constraint sign_in_failure_pkey primary key (bucket)
);
create index sign_in_failure_resets_at on sign_in_failure (resets_at);

-- The key that signs tokens where JWT_PRIVATE_KEY is not set, which is refused in production.
create table signing_key (
  kid text not null,
  private_key text not null,
  created_at timestamptz not null default now(),
  constraint signing_key_pkey primary key (kid)
);
