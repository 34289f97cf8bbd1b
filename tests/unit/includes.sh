#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Holds every #include "..." of the tree against the table in doc/map.md: a room includes itself and what its row allows.
# Also that libssi/model stays pure. What it does not see: a header reached through another one.
set -eu
cd "${srcdir:-.}"

# shellcheck disable=SC2046 # the names of sources hold no blanks
awk '
# A row of the table: rooms in backticks in the first column, folders it may include in the last.
function row(line,    cell, n, i, rooms, m) {
	n = split(line, cell, "|")
	m = names(cell[2])
	for (i = 1; i <= m; i++) {
		room[name[i]] = 1
		rooms[i] = name[i]
	}
	any = cell[n - 1] ~ /anything/
	names(cell[n - 1])
	for (i = 1; i <= m; i++) {
		all[rooms[i]] = any
		allowed[rooms[i]] = cell[n - 1]
	}
}
# The backticked words of s into name[], without a slash at their end; how many.
function names(s,    i, n, part) {
	n = split(s, part, "`")
	for (i = 2; i <= n; i += 2) {
		sub(/\/$/, "", part[i])
		name[i / 2] = part[i]
	}
	return int(n / 2)
}
# The room a path lies in: the longest that fits. "ssi/*.c" is for the files right in ssi/.
function room_of(path,    r, base, best) {
	best = ""
	for (r in room) {
		base = r
		if (sub(/\/\*\.c$/, "", base) ? path ~ "^" base "/[^/]*$" : index(path, base "/") == 1)
			if (length(r) > length(best))
				best = r
	}
	return best
}
function complain(text) {
	print FILENAME ":" FNR ": " text
	bad = 1
}
FILENAME == "doc/map.md" { if (/^\| `/) row($0); next }
FNR == 1 { here = room_of(FILENAME); files++; if (here == "") complain("lies in no room of doc/map.md") }
here == "libssi/model" && /^[ \t]*#[ \t]*include[ \t]*("libssi\/base\/(clock|fd|file|log|spawn)\.h"|<(time|fcntl|dirent|sys\/(socket|stat|time))\.h>)/ {
	complain("libssi/model is pure: no files, no sockets, no clock")
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
	split($0, quoted, "\"")
	path = quoted[2]
	if (path == "config.h" || here == "" || all[here])
		next
	if (path !~ /\//) {
		complain("\"" path "\": a header is included by its whole path")
		next
	}
	to = room_of(path)
	if (to == here)
		next
	n = names(allowed[here])
	for (i = 1; i <= n; i++)
		if (index(path, name[i] "/") == 1)
			next
	complain("\"" path "\": " here " may not include it (doc/map.md)")
}
END {
	if (files < 10) {
		print "only " files " files found"
		bad = 1
	}
	exit bad
}' doc/map.md $(find libssi ssi ssi-init ssi-agent ssi-keeper mkimage bootsvc -name '*.[ch]' ! -name '*.pb-c.[ch]' | sort)
