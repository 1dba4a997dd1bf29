#!/usr/bin/env bash
# Put a backup of backup.sh in place of the database. What is there now is kept beside it, under another name.
#
#   restore.sh FILE [--jobs N] [--drop-former] [--accept-code]
#
# The backup is restored into a database of its own; only when it is whole do the two change names. A restore that
# fails or is interrupted leaves everything as it was. On an empty volume it works in the same way.
# It runs as a role of its own that owns that database and nothing else: what somebody has planted in a backup (an
# index, a constraint that calls a function) runs with no more rights. What is not Millrace's then (functions, triggers,
# rules, views, policies, ...) is named and refused, unless --accept-code says that you put it there.
# Stop Millrace's processes first (with Compose this script does, and starts them again); then `millrace migrate`
# (likewise) gives views and rights, which are not in the backup. Ingest goes on from the offsets in the backup:
# docs/deploy.md says what that means.
#
# Where: as backup.sh. The user must be allowed to create databases, and roles (or it is itself a role of few rights). --drop-former deletes what was there before.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=infra/docker/postgres.sh
. "$here/postgres.sh"

file=${1:?FILE}
shift
jobs=2 drop='' accept=''
while (($#)); do
    case $1 in
        --jobs) jobs=${2:?N}; shift 2 ;;
        --drop-former) drop=yes; shift ;;
        --accept-code) accept=yes; shift ;;
        *) echo "restore: what is $1?" >&2; exit 2 ;;
    esac
done
[[ -r $file ]] || { echo "restore: $file cannot be read" >&2; exit 1; }

name=$(database_name)
[[ $name =~ ^[a-z0-9_]+$ ]] || { echo "restore: a database called $name is not ours" >&2; exit 1; }
stamp=$(date -u +%Y%m%dt%H%M%S)
fresh=${name}_restoring former=${name}_before_$stamp
server=$(database postgres)

# Read to its end first: a damaged file is found before anything is stopped.
in_postgres pg_restore --file=- <"$file" >/dev/null || { echo "restore: $file is damaged; nothing was changed" >&2; exit 1; }

# The writers: none may connect between the two names. Those that did not run stay down.
running=()
if [[ -z ${MILLRACE_POSTGRES_URL:-} ]]; then
    mapfile -t running < <(compose ps --services --status running |
        grep -Ev '^(postgres|kafka|redis|broker|pushgateway|prometheus|alertmanager|proxy)$' || true)
    ((${#running[@]} == 0)) || compose stop "${running[@]}"
fi

quiet="set client_min_messages = warning"
sql "$server" --command "$quiet" --command "drop database if exists $fresh with (force)"
restorer=$fresh
if [[ $(sql "$server" --command "select rolsuper or rolcreaterole from pg_roles where rolname = current_user") == t ]]; then
    password=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
    # Read from standard input: a statement that is an argument can be seen by everybody on the machine.
    sql "$server" <<<"$quiet; drop role if exists $restorer; create role $restorer login password '$password';
        grant $restorer to current_user; create database $fresh owner $restorer template template0;
        revoke connect on database $fresh from public; grant connect on database $fresh to current_user;"
    trap 'sql "$server" --command "$quiet" --command "drop database if exists $fresh with (force)" --command "drop role if exists $restorer" || true' EXIT
else # a role of few rights restores as itself
    restorer='' password=''
    sql "$server" --command "create database $fresh template template0" --command "revoke connect on database $fresh from public"
fi
echo "restore: $file into $fresh"
options=(--exit-on-error --no-owner --no-privileges)
if [[ -n ${MILLRACE_POSTGRES_URL:-} ]]; then
    PGUSER=$restorer PGPASSWORD=$password pg_restore "${options[@]}" --jobs="$jobs" \
        --dbname="$(database_as "$restorer" "$fresh")" "$file" 2> >(cat -v >&2) # its errors quote names of the backup's
else # parallel jobs would need the file inside the container
    in_postgres pg_restore "${options[@]}" --dbname="$(database_as "$restorer" "$fresh")" <"$file" 2> >(cat -v >&2)
fi || { echo "restore: $file cannot be restored by a role of few rights; nothing was changed" >&2; exit 1; }
[[ $(sql "$(database "$fresh")" --command "select to_regclass('ops.offsets') is not null") == t ]] ||
    { echo "restore: $file is no backup of Millrace; nothing was changed" >&2; exit 1; }
planted=$(sql "$(database "$fresh")" --command "set search_path = pg_catalog" --file=- <"$(planted_sql)" | cut -d'|' -f1)
if [[ -n $planted && -z $accept ]]; then
    echo "restore: $file holds what is not Millrace's and can run code; nothing was changed:" >&2
    sed 's/^/  /' <<<"$planted" >&2
    echo "restore: if you know it, --accept-code; if not, docs/security.md, What a role of few rights can plant" >&2
    exit 1
fi
if [[ -n $restorer ]]; then
    sql "$(database "$fresh")" --command "reassign owned by $restorer to current_user" --command "drop owned by $restorer"
fi
sql "$(database "$fresh")" --command "analyze" # without statistics the first queries would scan everything

# Sessions that are left would keep the name; a pooler that comes back in between is refused.
exists=$(sql "$server" --command "select count(*) from pg_database where datname = '$name'")
if [[ $exists == 1 ]]; then
    sql "$server" --command "alter database $name with allow_connections false" \
        --command "select pg_terminate_backend(pid) from pg_stat_activity where datname = '$name'" >/dev/null
    for try in 1 2 3 4 5 6 7 8 9 10; do
        sql "$server" --command "alter database $name rename to $former" && break
        ((try < 10)) || { sql "$server" --command "alter database $name with allow_connections true"; exit 1; }
        sleep 0.5
    done
    sql "$server" --command "alter database $former with allow_connections true"
fi
sql "$server" --command "alter database $fresh rename to $name"
if [[ $exists == 1 ]]; then
    if [[ -n $drop ]]; then
        sql "$server" --command "drop database $former with (force)"
    else
        echo "restore: what was there before is the database $former; drop it when you no longer need it"
    fi
fi

if [[ -z ${MILLRACE_POSTGRES_URL:-} ]]; then
    compose run --rm migrate
    ((${#running[@]} == 0)) || compose up --detach --wait
else
    echo "restore: now 'millrace migrate', then start Millrace's processes"
fi
