#!/usr/bin/env bash
# Put a backup of backup.sh in place of the database. What is there now is kept beside it, under another name.
#
#   restore.sh FILE [--jobs N] [--drop-former]
#
# The backup is restored into a database of its own; only when it is whole do the two change names. A restore that
# fails or is interrupted leaves everything as it was. On an empty volume it works in the same way.
# Stop Millrace's processes first (with Compose this script does, and starts them again); then `millrace migrate`
# (likewise) gives views and rights, which are not in the backup. Ingest goes on from the offsets in the backup:
# docs/deploy.md says what that means.
#
# Where: as backup.sh. The user must be allowed to create databases. --drop-former deletes what was there before.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=infra/docker/postgres.sh
. "$here/postgres.sh"

file=${1:?FILE}
shift
jobs=2 drop=
while (($#)); do
    case $1 in
        --jobs) jobs=${2:?N}; shift 2 ;;
        --drop-former) drop=yes; shift ;;
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

sql "$server" --command "set client_min_messages = warning" --command "drop database if exists $fresh with (force)" --command "create database $fresh template template0"
echo "restore: $file into $fresh"
if [[ -n ${MILLRACE_POSTGRES_URL:-} ]]; then
    pg_restore --exit-on-error --no-owner --no-privileges --jobs="$jobs" --dbname="$(database "$fresh")" "$file"
else # parallel jobs would need the file inside the container
    in_postgres pg_restore --exit-on-error --no-owner --no-privileges --dbname="$(database "$fresh")" <"$file"
fi
[[ $(sql "$(database "$fresh")" --command "select to_regclass('ops.offsets') is not null") == t ]] ||
    { echo "restore: $file is no backup of Millrace; nothing was changed" >&2; exit 1; }
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
