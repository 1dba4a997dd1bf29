#!/usr/bin/env bash
# A backup of the whole database (events, books, Dagster's tables) as one file, while everything runs.
#
#   backup.sh DIRECTORY [--keep DAYS] [--newest N]
#
# One snapshot of PostgreSQL: events and the offsets up to which they were read always fit together. The file is read
# back to its end before it counts; only then are files deleted that are older than DAYS (14), never the newest N (3).
# Prints the file's path. Exit code 0: there is a good backup; anything else: there is none, and nothing was deleted.
#
# Where: the Compose stack of this folder; or, where MILLRACE_POSTGRES_URL is set, that database (RDS, say), with
# pg_dump and pg_restore from the PATH, not older than the server.
set -euo pipefail
umask 077

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=infra/docker/postgres.sh
. "$here/postgres.sh"

directory=${1:?DIRECTORY}
shift
days=14 newest=3
while (($#)); do
    case $1 in
        --keep) days=${2:?DAYS}; shift 2 ;;
        --newest) newest=${2:?N}; shift 2 ;;
        *) echo "backup: what is $1?" >&2; exit 2 ;;
    esac
done
[[ $days =~ ^[0-9]+$ && $newest =~ ^[1-9][0-9]*$ ]] || { echo "backup: DAYS and N are numbers, N at least 1" >&2; exit 2; }

mkdir -p "$directory"
exec 9>"$directory/.backup.lock"
flock --nonblock 9 || { echo "backup: another one is under way" >&2; exit 1; }
rm -f "$directory"/millrace-*.dump.part # of a backup that was interrupted

file=$directory/millrace-$(date -u +%Y%m%dT%H%M%SZ).dump
# Waiting for a lock would make ingest wait behind the backup, when a migration or the retention wants the same table.
in_postgres pg_dump --format=custom --lock-wait-timeout=60s --no-owner --no-privileges --dbname="$(database)" >"$file.part"
in_postgres pg_restore --file=- <"$file.part" >/dev/null # every block is read and unpacked
sync "$file.part"
mv "$file.part" "$file"

find "$directory" -maxdepth 1 -name 'millrace-*.dump' | sort -r | tail -n "+$((newest + 1))" | while read -r old; do
    find "$old" -mmin "+$((days * 24 * 60))" -delete
done
echo "$file"
