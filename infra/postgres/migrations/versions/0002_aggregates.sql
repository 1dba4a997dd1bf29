create table ops.dirty_buckets (
    mark_id bigint generated always as identity,
    hour timestamptz not null,
    low timestamptz not null,
    high timestamptz not null,
    events bigint not null,
    batch_id bigint,
    event_ids uuid[],
    marked_at timestamptz default clock_timestamp() not null,
    constraint dirty_buckets_pkey primary key (mark_id),
    constraint dirty_buckets_identified_check check ((batch_id is null) <> (event_ids is null))
);
create index dirty_buckets_hour_idx on ops.dirty_buckets (hour);
comment on table ops.dirty_buckets is 'Events that the aggregates do not hold yet, a mark a transaction and hour. Empty: everything is settled.';
comment on column ops.dirty_buckets.mark_id is 'Number of the mark';
comment on column ops.dirty_buckets.hour is 'The hour, UTC, that events were stored in';
comment on column ops.dirty_buckets.low is 'occurred_at of the first of them';
comment on column ops.dirty_buckets.high is 'occurred_at of the last of them';
comment on column ops.dirty_buckets.events is 'How many';
comment on column ops.dirty_buckets.batch_id is 'The batch of the ledger whose offsets identify them';
comment on column ops.dirty_buckets.event_ids is 'Their ids, where the offsets of a batch do not identify them';
comment on column ops.dirty_buckets.marked_at is 'When they were stored';

create table ops.user_days (
    user_id text not null,
    day date not null,
    events bigint not null,
    logins bigint default 0 not null,
    page_views bigint default 0 not null,
    button_clicks bigint default 0 not null,
    form_submits bigint default 0 not null,
    first_at timestamptz not null,
    last_at timestamptz not null,
    funnel_steps smallint default 0 not null,
    constraint user_days_pkey primary key (user_id, day)
);
create index user_days_day_idx on ops.user_days (day);
comment on table ops.user_days is 'One row a user and day with any event. Profiles, active users, retention and funnel are counted over it.';
comment on column ops.user_days.user_id is 'The user';
comment on column ops.user_days.day is 'The day, UTC';
comment on column ops.user_days.events is 'Events of any type';
comment on column ops.user_days.logins is 'login events';
comment on column ops.user_days.page_views is 'page_view events';
comment on column ops.user_days.button_clicks is 'button_click events';
comment on column ops.user_days.form_submits is 'form_submit events';
comment on column ops.user_days.first_at is 'First event of the day';
comment on column ops.user_days.last_at is 'Last event of the day';
comment on column ops.user_days.funnel_steps is 'How many steps of the funnel were taken in order';

create table ops.user_day_traits (
    user_id text not null,
    day date not null,
    kind text not null,
    value text not null,
    events bigint not null,
    constraint user_day_traits_pkey primary key (user_id, day, kind, value)
);
comment on table ops.user_day_traits is 'How often each user came with which device and address on which day.';
comment on column ops.user_day_traits.user_id is 'The user';
comment on column ops.user_day_traits.day is 'The day, UTC';
comment on column ops.user_day_traits.kind is 'device or ip';
comment on column ops.user_day_traits.value is 'The device or address';
comment on column ops.user_day_traits.events is 'Events of the user on that day that name it';

create table ops.user_traits (
    user_id text not null,
    kind text not null,
    value text not null,
    events bigint not null,
    constraint user_traits_pkey primary key (user_id, kind, value)
);
create index user_traits_usual_idx on ops.user_traits (user_id, kind, events);
comment on table ops.user_traits is 'How often each user came with which device and address: the sums of user_day_traits.';
comment on column ops.user_traits.user_id is 'The user';
comment on column ops.user_traits.kind is 'device or ip';
comment on column ops.user_traits.value is 'The device or address';
comment on column ops.user_traits.events is 'Events of the user that name it';

create table ops.active_days (
    day date not null,
    dau bigint default 0 not null,
    wau bigint default 0 not null,
    mau bigint default 0 not null,
    new_users bigint default 0 not null,
    constraint active_days_pkey primary key (day)
);
comment on table ops.active_days is 'What active_users_daily is made of, the days to come included.';
comment on column ops.active_days.day is 'The day, UTC; up to 27 days after the last event';
comment on column ops.active_days.dau is 'Users with any event on the day';
comment on column ops.active_days.wau is 'Users with any event in the 7 days that end with it';
comment on column ops.active_days.mau is 'Users with any event in the 28 days that end with it';
comment on column ops.active_days.new_users is 'Users whose first event is on the day';

create table analytics.events_hourly (
    hour timestamptz not null,
    type text not null,
    events bigint not null,
    users bigint not null,
    constraint events_hourly_pkey primary key (hour, type)
);
comment on table analytics.events_hourly is 'Events and distinct users by hour and type.';
comment on column analytics.events_hourly.hour is 'Start of the hour, UTC';
comment on column analytics.events_hourly.type is 'Event type';
comment on column analytics.events_hourly.events is 'Events that occurred in that hour';
comment on column analytics.events_hourly.users is 'Distinct users';

create table analytics.pages_hourly (
    hour timestamptz not null,
    page text not null,
    views bigint not null,
    users bigint not null,
    constraint pages_hourly_pkey primary key (hour, page)
);
comment on table analytics.pages_hourly is 'Page views and distinct visitors by hour and page.';
comment on column analytics.pages_hourly.hour is 'Start of the hour, UTC';
comment on column analytics.pages_hourly.page is 'payload.page of page views';
comment on column analytics.pages_hourly.views is 'Page views';
comment on column analytics.pages_hourly.users is 'Distinct users';

create table analytics.referrers_hourly (
    hour timestamptz not null,
    referrer text not null,
    views bigint not null,
    users bigint not null,
    constraint referrers_hourly_pkey primary key (hour, referrer)
);
comment on table analytics.referrers_hourly is 'Page views and distinct visitors by hour and referrer.';
comment on column analytics.referrers_hourly.hour is 'Start of the hour, UTC';
comment on column analytics.referrers_hourly.referrer is 'payload.referrer of page views; empty for direct traffic (empty, null or missing)';
comment on column analytics.referrers_hourly.views is 'Page views';
comment on column analytics.referrers_hourly.users is 'Distinct users';

create table analytics.buttons_hourly (
    hour timestamptz not null,
    button_id text not null,
    page text not null,
    clicks bigint not null,
    users bigint not null,
    constraint buttons_hourly_pkey primary key (hour, button_id, page)
);
comment on table analytics.buttons_hourly is 'Clicks and distinct users by hour, button and page.';
comment on column analytics.buttons_hourly.hour is 'Start of the hour, UTC';
comment on column analytics.buttons_hourly.button_id is 'payload.buttonId';
comment on column analytics.buttons_hourly.page is 'payload.page: where it was clicked';
comment on column analytics.buttons_hourly.clicks is 'Clicks';
comment on column analytics.buttons_hourly.users is 'Distinct users';

create table analytics.forms_hourly (
    hour timestamptz not null,
    form_id text not null,
    submits bigint not null,
    users bigint not null,
    constraint forms_hourly_pkey primary key (hour, form_id)
);
comment on table analytics.forms_hourly is 'Submits and distinct users by hour and form.';
comment on column analytics.forms_hourly.hour is 'Start of the hour, UTC';
comment on column analytics.forms_hourly.form_id is 'payload.formId';
comment on column analytics.forms_hourly.submits is 'Submits';
comment on column analytics.forms_hourly.users is 'Distinct users';

create table analytics.active_users_daily (
    day date not null,
    dau bigint not null,
    wau bigint not null,
    mau bigint not null,
    new_users bigint not null,
    returning_users bigint not null,
    stickiness double precision not null,
    constraint active_users_daily_pkey primary key (day)
);
comment on table analytics.active_users_daily is 'Active users by day. A day without any event has no row.';
comment on column analytics.active_users_daily.day is 'The day, UTC';
comment on column analytics.active_users_daily.dau is 'Users with any event on the day';
comment on column analytics.active_users_daily.wau is 'Users with any event in the 7 days that end with it';
comment on column analytics.active_users_daily.mau is 'Users with any event in the 28 days that end with it';
comment on column analytics.active_users_daily.new_users is 'Users whose first event ever is on the day';
comment on column analytics.active_users_daily.returning_users is 'dau - new_users';
comment on column analytics.active_users_daily.stickiness is 'dau / mau';

create table analytics.sessions (
    session_id uuid not null,
    user_id text not null,
    started_at timestamptz not null,
    ended_at timestamptz not null,
    events bigint not null,
    page_views bigint not null,
    entry_page text,
    exit_page text,
    bounced boolean not null,
    constraint sessions_pkey primary key (session_id)
);
create index sessions_started_at_idx on analytics.sessions (started_at);
create index sessions_user_id_started_at_idx on analytics.sessions (user_id, started_at);
comment on table analytics.sessions is 'A user''s events in time order; a gap of more than 30 minutes begins a new session.';
comment on column analytics.sessions.session_id is 'Depends on the user and the start alone';
comment on column analytics.sessions.user_id is 'The user';
comment on column analytics.sessions.started_at is 'First event';
comment on column analytics.sessions.ended_at is 'Last event';
comment on column analytics.sessions.events is 'Events';
comment on column analytics.sessions.page_views is 'Page views among them';
comment on column analytics.sessions.entry_page is 'Page of the first page view';
comment on column analytics.sessions.exit_page is 'Page of the last page view';
comment on column analytics.sessions.bounced is 'One page view or none';

create table analytics.user_profiles (
    user_id text not null,
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null,
    events bigint not null,
    logins bigint not null,
    page_views bigint not null,
    button_clicks bigint not null,
    form_submits bigint not null,
    sessions bigint not null,
    usual_device text,
    usual_ip text,
    constraint user_profiles_pkey primary key (user_id)
);
create index user_profiles_first_seen_at_idx on analytics.user_profiles (first_seen_at);
comment on table analytics.user_profiles is 'One row a user, over all time.';
comment on column analytics.user_profiles.user_id is 'The user';
comment on column analytics.user_profiles.first_seen_at is 'First event ever';
comment on column analytics.user_profiles.last_seen_at is 'Last event';
comment on column analytics.user_profiles.events is 'Events of any type';
comment on column analytics.user_profiles.logins is 'login events';
comment on column analytics.user_profiles.page_views is 'page_view events';
comment on column analytics.user_profiles.button_clicks is 'button_click events';
comment on column analytics.user_profiles.form_submits is 'form_submit events';
comment on column analytics.user_profiles.sessions is 'Sessions';
comment on column analytics.user_profiles.usual_device is 'Device of most events that name one; among equals the first by bytes';
comment on column analytics.user_profiles.usual_ip is 'Address of most events that name one; among equals the first by bytes';

create table analytics.retention_weekly (
    cohort_week date not null,
    week date not null,
    users bigint not null,
    retained bigint not null,
    constraint retention_weekly_pkey primary key (cohort_week, week)
);
comment on table analytics.retention_weekly is 'Retention by cohort. A week in which nobody of the cohort came has no row.';
comment on column analytics.retention_weekly.cohort_week is 'Monday of the ISO week of the users'' first event, UTC';
comment on column analytics.retention_weekly.week is 'Monday of the ISO week looked at, UTC';
comment on column analytics.retention_weekly.users is 'Users of the cohort';
comment on column analytics.retention_weekly.retained is 'Those of them with any event in that week';

create table analytics.funnel_daily (
    day date not null,
    step integer not null,
    name text not null,
    users bigint not null,
    constraint funnel_daily_pkey primary key (day, step)
);
comment on table analytics.funnel_daily is 'The funnel of each day that has events, a row a step.';
comment on column analytics.funnel_daily.day is 'The day, UTC';
comment on column analytics.funnel_daily.step is 'Number of the step, from 1';
comment on column analytics.funnel_daily.name is 'Name of the step';
comment on column analytics.funnel_daily.users is 'Users who took this step after all steps before it, in that order, within the day';

create table analytics.login_audit (
    event_id uuid not null,
    occurred_at timestamptz not null,
    user_id text not null,
    action text not null,
    ip text,
    device text,
    flags text[] not null,
    constraint login_audit_pkey primary key (occurred_at, event_id)
);
create index login_audit_ip_idx on analytics.login_audit (ip, action, occurred_at, event_id);
create index login_audit_user_id_device_idx on analytics.login_audit (user_id, device, occurred_at, event_id) where device is not null;
create index login_audit_user_id_idx on analytics.login_audit (user_id, action, occurred_at, event_id);
create index login_audit_user_id_ip_idx on analytics.login_audit (user_id, ip, action, occurred_at, event_id);
comment on table analytics.login_audit is 'Every login and logout, with what is unusual about it.';
comment on column analytics.login_audit.event_id is 'The event';
comment on column analytics.login_audit.occurred_at is 'When it happened';
comment on column analytics.login_audit.user_id is 'The user';
comment on column analytics.login_audit.action is 'login or logout';
comment on column analytics.login_audit.ip is 'The address';
comment on column analytics.login_audit.device is 'The device; logouts have none';
comment on column analytics.login_audit.flags is 'What is unusual about it, in alphabetical order; see docs/analysts.md';

create table analytics.logins_hourly (
    hour timestamptz not null,
    logins bigint not null,
    logouts bigint not null,
    users bigint not null,
    addresses bigint not null,
    flagged bigint not null,
    constraint logins_hourly_pkey primary key (hour)
);
comment on table analytics.logins_hourly is 'Logins by hour.';
comment on column analytics.logins_hourly.hour is 'Start of the hour, UTC';
comment on column analytics.logins_hourly.logins is 'Logins';
comment on column analytics.logins_hourly.logouts is 'Logouts';
comment on column analytics.logins_hourly.users is 'Distinct users among both';
comment on column analytics.logins_hourly.addresses is 'Distinct addresses among both';
comment on column analytics.logins_hourly.flagged is 'Logins and logouts with at least one flag';
