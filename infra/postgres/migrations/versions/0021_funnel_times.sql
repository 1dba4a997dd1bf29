alter table ops.user_days add column funnel_at timestamptz, add column funnel_key integer;
comment on column ops.user_days.funnel_at is
'What comes after it on this day changes none of these steps; null: not known';
comment on column ops.user_days.funnel_key is
'Digest of the funnel, plus funnel_steps, when funnel_at was noted; another one: it is out of date';
