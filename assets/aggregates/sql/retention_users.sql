-- Everybody of a cohort came in its first week, so its size stands there.
update analytics.retention_weekly as r
set users = f.retained
from analytics.retention_weekly as f
where
    f.cohort_week = r.cohort_week and f.week = r.cohort_week
    and r.cohort_week = any(%(cohorts)s::date[]) and r.users <> f.retained
