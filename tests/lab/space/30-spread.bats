#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Programs that place themselves: compilers of a make, and what xargs starts, on machines that have no compiler.

load ../lab.bash
load people.bash

PACKAGES='gcc gcc-12 cpp cpp-12 make binutils binutils-x86-64-linux-gnu binutils-common libbinutils libctf0 libctf-nobfd0 libgprofng0 libisl23 libmpc3 libmpfr6
	libgmp10 libjansson4 libcc1-0 libc6-dev libgcc-12-dev linux-libc-dev libcmocka0 libcmocka-dev libcrypt-dev libc-dev-bin nettle-dev libnettle8 libhogweed6'

# What a compiler needs, from this machine to the master, as no image has it.
tools() {
	local file
	# shellcheck disable=SC2086 # words
	dpkg -L $PACKAGES | sort -u | grep -vE '^/usr/share/|/lto1$|lto-dump|/libgprofng|-gp-|/gcov|/plugin|-dwp$|gold$|san(_preinit)?\.[aos]' |
		while read -r file; do [ -d "$file" ] && [ ! -L "$file" ] || echo "$file"; done |
		tar -c --no-recursion -T - | gzip -1 | "$TOP/scripts/ssi-lab" exec master tar -xz -C /
	master ldconfig
}

# The project's lowest floor and its tests.
sources() {
	tar -C "$TOP" -c libssi/base libssi/model tests/unit/test-base.c -C build config.h |
		"$TOP/scripts/ssi-lab" exec master runuser -l ann -c 'mkdir -p src && tar -x -C src'
	"$TOP/scripts/ssi-lab" exec master runuser -l ann -c 'cat >src/Makefile' <<-'END'
		.RECIPEPREFIX = >
		OBJECTS := $(patsubst %.c,%.o,$(wildcard libssi/base/*.c)) tests/unit/test-base.o
		test-base: $(OBJECTS)
		> gcc -o $@ $^ -lnettle -lcmocka
		%.o: %.c
		> gcc -D_GNU_SOURCE -I. -O2 -g -Wall -Wextra -Wno-unused-parameter -MD -c -o $@ $<
	END
}

setup_file() {
	people_up
	tools
	sources
}

teardown() { show_trouble; }

# How many of ann's jobs of this name have exited well on each node, after job FIRST: "n01 7", a line each.
jobs_of() { # COMMAND FIRST
	ann 'ssi jobs --all -o json' | jq -r --arg c "$1" --argjson first "$2" \
		'[.[] | select(.command == $c and .cause == "exited" and .job > $first).node] | group_by(.)[] | "\(.[0]) \(length)"'
}

last_job() {
	ann 'ssi jobs --all -o json' | jq '[.[].job] | max // 0'
}

@test "a project is built by make -j, its compilers on all nodes, which have none; its tests pass" {
	local first begun=$SECONDS all
	first=$(last_job)
	node_sh "$ALL" '! command -v cc && ! [ -e /usr/lib/gcc ]'
	ann "cd src && ssi shell --spread --on round-robin -c 'make -s -j6'"
	echo "# built within $((SECONDS - begun)) s" >&3
	ann 'cd src && ./test-base'
	all=$(jobs_of cc1 "$first")
	echo "$all"
	[ "$(wc -l <<<"$all")" = 3 ]
	[ "$(awk '{ n += $2 } END { print n }' <<<"$all")" = "$(ann 'find src -name "*.o" | wc -l')" ]
	# The same as one compiler makes of it here.
	ann 'cd src && gcc -D_GNU_SOURCE -I. -O2 -c -o here.o libssi/base/map.c'
	ann 'cd src && ssi shell --spread -c "gcc -D_GNU_SOURCE -I. -O2 -c -o there.o libssi/base/map.c" && cmp here.o there.o'
}

@test "find and xargs -P over /home: each node takes its share, and nothing is lost" {
	local first
	first=$(last_job)
	# shellcheck disable=SC2016 # for ann's shell
	ann 'mkdir -p files/a files/b
		for i in 1 2 3 4 5 6 7 8 9; do head -c 100000 /dev/urandom >"files/a/$i"; head -c 50000 /dev/zero >"files/b/with space $i"; done'
	ann 'find files -type f -exec sha256sum {} + | sort >sums'
	ann "ssi shell --spread --only gzip --on round-robin -c 'find files -type f -print0 | xargs -0 -n 3 -P 6 gzip'"
	[ "$(ann 'find files -name "*.gz" | wc -l; find files -type f | wc -l')" = $'18\n18' ]
	[ "$(jobs_of gzip "$first" | wc -l)" = 3 ]
	ann 'find files -type f -exec gunzip {} + && sha256sum --quiet -c sums'
}
