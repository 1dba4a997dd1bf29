create table ops.aggregate_history (
    name text not null,
    definition text not null,
    missing datemultirange not null,
    since timestamptz default clock_timestamp() not null,
    constraint aggregate_history_pkey primary key (name)
);
comment on table ops.aggregate_history is
'For which days an aggregate is not what its definition makes of raw.events. A table without a row lacks every day.';
comment on column ops.aggregate_history.name is 'The table, without its schema';
comment on column ops.aggregate_history.definition is
'Versions of its definition and of the tables that it is made of; digest of the funnel';
comment on column ops.aggregate_history.missing is 'Days that are still to be rebuilt; empty: the table is whole';
comment on column ops.aggregate_history.since is 'Since when this definition holds';

-- The release before has kept what it had. A table that is empty beside events that it counts was made just now: it
-- gets no row, and so is filled. In an empty database every table is whole.
with known (name, definition, is_empty, types) as (
    values
    ('pages_hourly', '1', not exists (select 1 from analytics.pages_hourly), array['page_view']),
    ('events_hourly', '1', not exists (select 1 from analytics.events_hourly), null),
    ('referrers_hourly', '1', not exists (select 1 from analytics.referrers_hourly), array['page_view']),
    ('buttons_hourly', '1', not exists (select 1 from analytics.buttons_hourly), array['button_click']),
    ('forms_hourly', '1', not exists (select 1 from analytics.forms_hourly), array['form_submit']),
    ('user_days', '1', not exists (select 1 from ops.user_days), null),
    ('sessions', '1', not exists (select 1 from analytics.sessions), null),
    (
        'user_profiles', '1; sessions 1; user_days 1',
        not exists (select 1 from analytics.user_profiles), null
    ),
    (
        'active_users_daily', '1; sessions 1; user_days 1; user_profiles 1',
        not exists (select 1 from analytics.active_users_daily), null
    ),
    (
        'retention_weekly', '1; sessions 1; user_days 1; user_profiles 1',
        not exists (select 1 from analytics.retention_weekly), null
    ),
    -- The next refresh finds which days the funnel of now did not make.
    (
        'funnel_daily', '1; user_days 1; funnel unknown',
        not exists (select 1 from analytics.funnel_daily), null
    ),
    ('login_audit', '1', not exists (select 1 from analytics.login_audit), array['login', 'logout']),
    (
        'logins_hourly', '1; login_audit 1',
        not exists (select 1 from analytics.logins_hourly), array['login', 'logout']
    )
)

insert into ops.aggregate_history (name, definition, missing)
select
    k.name,
    k.definition,
    '{}' as missing
from known as k
where
    not k.is_empty
    or not exists (
        select 1 from analytics.events_minutely as m
        where k.types is null or m.type = any(k.types)
    );
