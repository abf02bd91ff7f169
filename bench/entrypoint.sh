#!/bin/sh
# A shell entrypoint of the usual kind, as a measure of what people replace: it loops over a directory of secrets,
# forks a few programs for each, exports the value and says so. `entrypoint.sh DIR APP…`
set -eu

directory=$1
shift

for file in "$directory"/*; do
    name=$(basename "$file" | tr 'a-z-' 'A-Z_')
    value=$(cat "$file" | tr -d '\r')
    export "$name=$value"
    echo "$name" | sed 's/^/loaded secret: /'
done

exec "$@"
