# For backup.sh and restore.sh: PostgreSQL's programs, in the stack's container or, with MILLRACE_POSTGRES_URL, from the PATH.
# shellcheck shell=bash disable=SC2154 # $here is of who reads this

# Where .env and secrets/ are, where that is not this folder.
deployment=$(cd "${MILLRACE_DEPLOYMENT:-$here}" && pwd)

# Run one of PostgreSQL's programs; standard input and output are the caller's.
in_postgres() {
    if [[ -n ${MILLRACE_POSTGRES_URL:-} ]]; then "$@"; else compose exec -T --user postgres postgres "$@"; fi
}

# From this folder: COMPOSE_FILE in .env may name files beside compose.yaml, and Docker looks for them from where it runs.
compose() { (cd "$here" && docker compose --project-directory "$here" --env-file "$deployment/.env" "$@"); }

# What --dbname gets. By its owner's name through the container's socket, where the server trusts its own account.
# A database's name is asked for in place of its own with an argument: the same server, another database.
database() {
    local name=${1:-}
    if [[ -z ${MILLRACE_POSTGRES_URL:-} ]]; then
        echo "user=millrace dbname=${name:-millrace}"
    elif [[ -z $name ]]; then
        echo "$MILLRACE_POSTGRES_URL"
    else
        local address=${MILLRACE_POSTGRES_URL%%\?*} options=
        [[ $MILLRACE_POSTGRES_URL == *\?* ]] && options="?${MILLRACE_POSTGRES_URL#*\?}"
        echo "${address%/*}/$name$options"
    fi
}

# The name of Millrace's database.
database_name() {
    local address=${MILLRACE_POSTGRES_URL:-/millrace}
    address=${address%%\?*}
    echo "${address##*/}"
}

# Run statements, stop at the first that fails; prints values only.
sql() {
    local where=$1
    shift
    in_postgres psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 --dbname="$where" "$@"
}
