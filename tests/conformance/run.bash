# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs cases of this folder, each here and then on a node, and compares what they print, what they leave in their folder, and their status, byte for byte.
#
# A file NAME.cases has cases, each bash, behind a line "== what it shows". In them "on PROGRAM ..." runs a program, here or on the node, and
# "on-tty PROGRAM ..." one that has the terminal (--pty); both are programs themselves, so that xargs, timeout or a job of the shell can start them. "terminal"
# is a person at a terminal: terminal.py. "until_true COMMAND..." waits; "nap" is a short sleep of bash without another process (one that is stopped between
# vfork(2) and execve(2) holds up its parent, here as there). A case whose name is followed by a line "differs: WHAT" is one of doc/differences.md (WHAT is in
# the first column there), and is to differ. "needs: COMMAND" leaves a case out where that fails.

CONFORMANCE=$(dirname "${BASH_SOURCE[0]}")

# The programs that cases use, below ./local and ./remote.
conformance_tools() { # NODE
	local where
	mkdir -p local remote
	printf '#!/bin/sh\nexec "$@"\n' | tee local/on >local/on-tty
	printf '#!/bin/sh\nexec ssi run -n %s "$@"\n' "$1" >remote/on
	printf '#!/bin/sh\nexec ssi run -n %s --pty "$@"\n' "$1" >remote/on-tty
	for where in local remote; do
		printf '#!/bin/sh\nexec /usr/bin/python3 %s/terminal.py "$@"\n' "$CONFORMANCE" >"$where/terminal"
		chmod +x "$where"/*
	done
}

# A file of cases becomes ./cases/NUMBER (bash), NUMBER.name and, where one is to differ, NUMBER.differs, or NUMBER.needs.
conformance_split() { # FILE
	mkdir -p cases
	awk -v start='export PS1="$ "; mkfifo .idle; until_true() { local n=600; until "$@"; do [ $((n -= 1)) -gt 0 ] || return 1; sleep 0.05; done; }' '
		/^== / { out = sprintf("cases/%03d", ++n); print substr($0, 4) >(out ".name"); print start >out; next }
		/^differs: / { print substr($0, 10) >(out ".differs"); next }
		/^needs: / { print substr($0, 8) >(out ".needs"); next }
		out && !/^# / { print >out }' "$1"
}

conformance_nap() { # FOLDER
	printf 'nap() { read -r -t 0.03 -u 9 9<>.idle || :; }\n' >"$1/nap.bash"
}

# One side of a case: what came of it lies in ./said/NUMBER.WHERE.
conformance_side() { # NUMBER WHERE FOLDER
	local said=$PWD/said/$1.$2 case=$PWD/cases/$1 status=0 path=$PWD/$2:$PATH
	rm -rf "$3"
	rm -rf "$said"
	mkdir -p "$said" "$3"
	(
		cd "$3" || exit
		# What a bash reads that is not for a person at a terminal; the programs that cases start read it, too.
		PATH=$path BASH_ENV=${3%/*}/nap.bash exec env --default-signal=HUP,INT,QUIT,TERM,PIPE,TSTP,TTIN,TTOU timeout -k 5 60 setsid -w bash --norc "$case" \
			</dev/null >"$said/out" 2>"$said/err"
	) || status=$?
	# Where a shell names the file that it reads, or a process.
	sed -i "s|$case|case|g; s/line [0-9]*: *[0-9]\{3,\} /line: PID /" "$said/err"
	echo "$status" >"$said/status"
	rm -f "$3/.idle"             # diff knows no such file
	mv "$3" "$said/left"
}

# Here it came to its end.
conformance_worked() { # NUMBER
	! grep -q '^terminal: ' "said/$1.local/err" && ! grep -qx 124 "said/$1.local/status"
}

# Says what is wrong with it; nothing if nothing is.
conformance_case() { # NUMBER FOLDER
	local name differs='' same=true
	name=$(cat "cases/$1.name")
	[ ! -e "cases/$1.differs" ] || differs=$(cat "cases/$1.differs")
	conformance_side "$1" local "$2/$1"
	# Nothing of ours is in that: a shell that forks in the moment in which a key comes may miss it, and is asked once more.
	conformance_worked "$1" || conformance_side "$1" local "$2/$1"
	conformance_side "$1" remote "$2/$1"
	if ! conformance_worked "$1"; then
		echo "$name: does not work here"
		head -c 1000 "said/$1.local/out" "said/$1.local/err"
		return
	fi
	diff -r "said/$1.local" "said/$1.remote" >"said/$1.diff" 2>&1 || same=false
	if [ -n "$differs" ] && $same; then
		echo "$name: is the same, and listed as different ($differs)"
	elif [ -z "$differs" ] && ! $same; then
		printf '%s: differs (< here, > on the node)\n' "$name"
		head -c 3000 "said/$1.diff"
	fi
}

# All cases of a file, several at a time, in a folder that the nodes share. How long each took lies in ./said/NUMBER.ms.
conformance_run() { # FILE FOLDER [ONLY]
	local bad
	conformance_split "$1"
	mkdir -p said
	conformance_nap "$2"
	(conformance_all "$2" "${3:-}")          # whose children are the cases alone
	printf '%s: %s cases, the longest %s ms\n' "${1##*/}" "$(cat said/*.ms | wc -l)" "$(sort -n said/*.ms | tail -n 1)"
	bad=$(cat said/*.bad)
	[ -z "$bad" ] || { echo "$bad"; return 1; }
}

conformance_can() { # NUMBER
	[ ! -e "cases/$1.needs" ] || { mkdir -p needs && (cd needs && bash "../cases/$1.needs" >/dev/null 2>&1); }
}

conformance_all() { # FOLDER ONLY
	local number running=0
	for number in cases/???; do
		number=${number#cases/}
		[ -z "$2" ] || grep -q -- "$2" "cases/$number.name" || continue
		conformance_can "$number" || { printf 'left out, as this machine cannot: %s\n' "$(cat "cases/$number.name")"; continue; }
		if [ "$running" -ge "${CONFORMANCE_JOBS:-6}" ]; then wait -n || :; else running=$((running + 1)); fi
		{
			local from=${EPOCHREALTIME/./}
			conformance_case "$number" "$1" >"said/$number.bad" 2>&1
			echo $(((${EPOCHREALTIME/./} - from) / 1000)) >"said/$number.ms"
		} &
	done
	wait
}

# Each row of the list has a case that shows it, and each case that differs a row.
conformance_listed() { # DIFFERENCES
	local listed shown
	listed=$(sed -n '/^|/{s/^| *\([^|]*[^| ]\) *|.*/\1/;p}' "$1" | sed '1,2d' | sort -u)
	shown=$(sed -n 's/^differs: //p' "$CONFORMANCE"/*.cases | sort -u)
	diff <(echo "$listed") <(echo "$shown")
}
