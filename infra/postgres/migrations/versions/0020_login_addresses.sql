create table ops.login_addresses (
    user_id text not null,
    address text not null,
    seen_on date not null,
    constraint login_addresses_pkey primary key (user_id, address)
);
comment on table ops.login_addresses is
'Which users were seen at which addresses: what a refresh has to read of analytics.login_audit. Kept by triggers on that table.';
comment on column ops.login_addresses.user_id is 'The user';
comment on column ops.login_addresses.address is 'The address, in its canonical spelling';
comment on column ops.login_addresses.seen_on is
'Day (UTC) of the user''s last login or logout from there, or a later one';

-- Lookups by index, whatever was known of the table when a session planned them.
create function ops.add_login_addresses() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $function$
begin
    insert into ops.login_addresses as p (user_id, address, seen_on)
    select
        c.user_id,
        c.address,
        c.seen_on
    from (
        select
            r.user_id,
            r.address,
            (max(r.occurred_at) at time zone 'UTC')::date as seen_on
        from came as r
        where r.address is not null
        group by r.user_id, r.address
    ) as c
    where
        coalesce((
            select k.seen_on from ops.login_addresses as k
            where k.user_id = c.user_id and k.address = c.address
        ), '-infinity') < c.seen_on
    on conflict (user_id, address) do update set seen_on = excluded.seen_on;
    return null;
end
$function$;

-- Each pair is looked up once: rows that are deleted still stand in the index.
create function ops.remove_login_addresses() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $function$
begin
    delete from ops.login_addresses as p
    using (select distinct r.user_id, r.address from went as r where r.address is not null) as g
    where
        p.user_id = g.user_id and p.address = g.address
        and (
            select l.user_id = p.user_id and l.address = p.address
            from analytics.login_audit as l
            where (l.user_id, l.address) >= (p.user_id, p.address)
            order by l.user_id, l.address limit 1
        ) is not true;
    return null;
end
$function$;

create trigger login_addresses_come after insert on analytics.login_audit
referencing new table as came for each statement execute function ops.add_login_addresses();
create trigger login_addresses_go after delete on analytics.login_audit
referencing old table as went for each statement execute function ops.remove_login_addresses();

insert into ops.login_addresses (user_id, address, seen_on)
select
    l.user_id,
    l.address,
    (max(l.occurred_at) at time zone 'UTC')::date as seen_on
from analytics.login_audit as l
where l.address is not null
group by l.user_id, l.address;
create index login_addresses_user_id_seen_on_idx on ops.login_addresses (user_id, seen_on);
create index login_addresses_address_seen_on_idx on ops.login_addresses (address, seen_on);
