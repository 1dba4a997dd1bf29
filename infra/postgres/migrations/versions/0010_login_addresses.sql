-- One spelling of an address: RFC 5952 for IPv6, and IPv4 for IPv4-mapped IPv6. What is no address stays as it is: a
-- payload may hold anything, and no row may stop a refresh.
create function ops.canonical_address(written text) returns text
language plpgsql immutable strict parallel safe as $function$
begin
    if strpos(written, ':') = 0 then
        return written;
    end if;
    begin
        if written::inet <<= '::ffff:0.0.0.0/96'::inet then
            return regexp_replace(host(written::inet), '^.*:', '');
        end if;
        return host(written::inet);
    exception when others then
        return written;
    end;
end
$function$;

-- Place in Kafka as one value that sorts by topic, partition and offset. Of the topic's id, which is random, 32 bits do.
create function ops.kafka_position(topic_id uuid, partition_number integer, kafka_offset bigint) returns uuid
language sql immutable strict parallel safe as $function$
    select (left(topic_id::text, 8) || lpad(to_hex(partition_number), 8, '0') || lpad(to_hex(kafka_offset), 16, '0'))::uuid
$function$;

drop index analytics.login_audit_ip_idx;
drop index analytics.login_audit_user_id_device_idx;
drop index analytics.login_audit_user_id_idx;
drop index analytics.login_audit_user_id_ip_idx;

alter table analytics.login_audit
add column address text generated always as (ops.canonical_address(ip)) stored,
add column position uuid;
-- Rows that there are keep the order that their flags were made by, until they are rebuilt. A rewrite, no update: the
-- table does not grow.
alter table analytics.login_audit alter column position type uuid using event_id;
-- The default is for the release before this one, should it come back: it knows no position.
alter table analytics.login_audit
alter column position set not null,
alter column position set default gen_random_uuid();

create index login_audit_address_idx on analytics.login_audit (address, action, occurred_at, position);
create index login_audit_ip_idx on analytics.login_audit (ip, action, occurred_at);
create index login_audit_user_id_address_idx on analytics.login_audit (
    user_id, address, action, occurred_at, position
);
create index login_audit_user_id_device_idx on analytics.login_audit (
    user_id, device, occurred_at, position
) where device is not null;
create index login_audit_user_id_idx on analytics.login_audit (user_id, action, occurred_at, position);

comment on column analytics.login_audit.ip is 'The address, as it was sent';
comment on column analytics.login_audit.address is
'The address in its one canonical spelling, IPv4-mapped IPv6 as IPv4: what flags and counts compare';
comment on column analytics.login_audit.position is
'Place in Kafka (topic id, partition, offset) in one value: the order of rows of one time';
comment on column analytics.user_profiles.usual_ip is
'Canonical address of most events that name one; of equals the first by bytes';
