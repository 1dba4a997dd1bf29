create index events_minutely_type_minute_idx on analytics.events_minutely (type, minute);
