-- The rows of login_audit that erased users keep: made once a connection that erases, emptied by every COMMIT.
create temporary table if not exists audit_own (
    like analytics.login_audit including generated including indexes
) on commit delete rows;

truncate audit_own;
