create table ops.claim_key (
    one boolean not null default true,
    key bytea not null,
    constraint claim_key_pkey primary key (one),
    constraint claim_key_one_check check (one)
);
comment on table ops.claim_key is
'The key of the digests in Redis'' claims: who can write to Redis and does not know it can prove nothing.';
comment on column ops.claim_key.one is 'There is one row';
comment on column ops.claim_key.key is 'Random, 32 bytes, made by the migration';
-- Each UUID has 122 bits of the server's strong random source.
insert into ops.claim_key (key)
values (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));
