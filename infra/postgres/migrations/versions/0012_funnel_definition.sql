alter table analytics.funnel_daily add column definition text;
comment on column analytics.funnel_daily.definition is
'Digest of the funnel that the row was made by; null: of an earlier release';
