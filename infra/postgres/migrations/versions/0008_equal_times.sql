comment on column analytics.sessions.entry_page is
'Page of the first page view; of one time, by place in Kafka';
comment on column analytics.sessions.exit_page is
'Page of the last page view; of one time, by place in Kafka';
comment on column analytics.sessions.bounced is
'One page view and no other event; false for sessions without a page view';
comment on column analytics.funnel_daily.users is
'Users who took this step after all steps before it, or at their time, within the day';
