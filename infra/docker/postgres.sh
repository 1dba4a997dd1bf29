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

# As `database`, without the owner's name and password: those of a role come in PGUSER and PGPASSWORD. In the container the
# server trusts who is in it, whatever the name. Without a role it is the user of the address.
database_as() {
    local role=$1 name=$2
    if [[ -z $role ]]; then
        database "$name"
    elif [[ -z ${MILLRACE_POSTGRES_URL:-} ]]; then
        echo "user=$role dbname=$name"
    else
        local address scheme
        address=$(database "$name")
        scheme=${address%%://*}://
        address=${address#*://}
        [[ ${address%%/*} == *@* ]] && address=${address#"${address%%/*}"} && address="$(server_host)$address"
        echo "$scheme$address"
    fi
}

# Host and port of MILLRACE_POSTGRES_URL.
server_host() {
    local address=${MILLRACE_POSTGRES_URL#*://}
    address=${address%%[/?]*}
    echo "${address##*@}"
}

# Where the question stands what of a database is not Millrace's.
planted_sql() {
    local file=$here/../postgres/sql/planted.sql
    [[ -r $file ]] || { echo "restore: $file is missing: run this from a whole checkout" >&2; return 1; }
    echo "$file"
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
