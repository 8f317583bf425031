# Copies a tree, with another greeting in it. Runs in a private folder with a fixed environment; it may write to OUT only.
# usage: sh translate.sh IN OUT GREETING
set -eu
mkdir -p "$2"
cp -R -P -p "$1/." "$2/"
file=$2/usr/share/hello/greeting.json
rm "$file"
printf '{ "greeting": "%s" }\n' "$3" >"$file"
