select
    cohort_week as "first week",
    max(users) as users,
    max(retained) filter (where week = cohort_week + 7)::double precision / max(users) as "+1",
    max(retained) filter (where week = cohort_week + 14)::double precision / max(users) as "+2",
    max(retained) filter (where week = cohort_week + 21)::double precision / max(users) as "+3",
    max(retained) filter (where week = cohort_week + 28)::double precision / max(users) as "+4",
    max(retained) filter (where week = cohort_week + 35)::double precision / max(users) as "+5",
    max(retained) filter (where week = cohort_week + 42)::double precision / max(users) as "+6",
    max(retained) filter (where week = cohort_week + 49)::double precision / max(users) as "+7",
    max(retained) filter (where week = cohort_week + 56)::double precision / max(users) as "+8"
from analytics.retention_weekly
where $__timeFilter(cohort_week)
group by cohort_week
order by cohort_week desc
