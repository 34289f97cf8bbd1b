# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The parts of bench/ccm: its serving end, the experiments, what callgrind counts, tables, graphs and targets. Sourced by ccm.
#
# A CSV line of ccm-ends: experiment,way,size,count,median_us,p10_us,p90_us,cpu_us,ratio. ratio is the time against the experiment's first way; of one-way messages
# and calls, times are a message's share of its block; cpu_us is processor time of the calling end.

ENDS_PID=''
ENDS_RUN=()          # what runs the measuring end, where that is not this host

# The two ends stand on two processors where there are two: where the scheduler puts them is else what is measured.
ends_start() {
	local log=$WORK/serve.log on=()
	if [ "$(nproc)" -gt 1 ]; then on=(taskset -c 1); fi
	"${on[@]}" "$@" "$ENDS" serve --port "$PORT" >"$log" 2>&1 &
	ENDS_PID=$!
	await 60 ends_ready "$log" || die "the serving end does not start: $(tail -n 3 "$log")"
}

ends_ready() { # LOG
	kill -0 "$ENDS_PID" 2>/dev/null || die "the serving end ended: $(tail -n 3 "$1")"
	grep -q '^ready' "$1"
}

ends_stop() {
	[ -z "$ENDS_PID" ] || { kill "$ENDS_PID" 2>/dev/null; wait "$ENDS_PID" 2>/dev/null; }
	ENDS_PID=''
}

# One experiment into its CSV file.
experiment() { # NAME ARGUMENT...
	local name=$1 on=() where=(--port "$PORT")
	shift
	if [ -n "$PEER" ]; then where+=(--address "$PEER"); elif [ "$(nproc)" -gt 1 ]; then on=(taskset -c 0); fi
	echo "measuring: $name" >&2
	[ "${#ENDS_RUN[@]}" -gt 0 ] || ENDS_RUN=("${on[@]}" "$ENDS")
	"${ENDS_RUN[@]}" measure "$name" "${where[@]}" "$@" </dev/null >"$OUT/$name.csv" || die "the experiment '$name' ended early"
}

measure_all() {
	experiment send --sizes "$SIZES" --count "$COUNT"
	experiment call --sizes "$SIZES" --count "$COUNT"
	experiment stream --sizes 1048576 --count "$((COUNT / 5 + 1))" --block 50
	experiment cast --sizes 64 --count "$((COUNT * 20))" --block 5000
}

# Those that took part, in their order.
ways() { # EXPERIMENT
	awk -F, 'NR > 1 && !seen[$2]++ { printf "%s%s", (n++ ? " " : ""), $2 }' "$OUT/$1.csv"
}

# What callgrind counted of both ends.
counted() { # EXPERIMENT WAY SIZE COUNT
	local log=$WORK/callgrind
	ends_start valgrind --tool=callgrind --callgrind-out-file=/dev/null --log-file="$log.serve"
	valgrind --tool=callgrind --callgrind-out-file=/dev/null --log-file="$log.measure" \
		"$ENDS" measure "$1" --port "$PORT" --ways "$2" --sizes "$3" --count "$4" --block "$4" >/dev/null 2>"$log.err" || die "under callgrind: $(tail -n 1 "$log.err")"
	ends_stop
	COUNTED=$(awk '/Collected/ { n += $NF } END { print n + 0 }' "$log.serve" "$log.measure")
}

# The difference of two runs, of one and of five times so many round trips: whatever is done once falls out. A block runs
# twice, once of it unmeasured. Not for larger bodies: ciphers are slow under callgrind, and what a station does by the clock would count.
counted_round_trip() { # EXPERIMENT WAY SIZE
	local few=50 before
	counted "$1" "$2" "$3" "$few"
	before=$COUNTED
	counted "$1" "$2" "$3" $((5 * few))
	echo "$1,$2,$3,$(((COUNTED - before) / (2 * 4 * few)))" >>"$OUT/instructions.csv"
}

instructions() {
	local experiment way size
	command -v valgrind >/dev/null || { echo "ccm: no valgrind here: no instruction counts" >&2; return; }
	ends_stop
	echo "experiment,way,size,instructions" >"$OUT/instructions.csv"
	for experiment in send call; do
		for way in $(ways "$experiment"); do
			for size in 1 1024 16384 65536; do
				echo "counting: $experiment, $way, $size bytes" >&2
				counted_round_trip "$experiment" "$way" "$size"
			done
		done
	done
}

# A line for each size: the medians of all ways beside each other, then their ratios to the first.
table_of_sizes() { # EXPERIMENT TITLE
	echo
	echo "$2, µs (median), and the ratio to the first"
	awk -F, 'NR == 1 { next }
		!($2 in order) { order[$2] = ++ways; name[ways] = $2 }
		!($3 in line) { line[$3] = ++sizes; size[sizes] = $3 }
		{ median[$3, $2] = $5; ratio[$3, $2] = $9 }
		END {
			printf "%9s", "bytes"; for (w = 1; w <= ways; w++) printf "%11s", name[w]
			for (w = 2; w <= ways; w++) printf "%16s", name[w] "/" name[1]; print ""
			for (s = 1; s <= sizes; s++) {
				printf "%9d", size[s]; for (w = 1; w <= ways; w++) printf "%11.1f", median[size[s], name[w]]
				for (w = 2; w <= ways; w++) printf "%16.3f", ratio[size[s], name[w]]; print ""
			}
		}' "$OUT/$1.csv"
}

table_of_ways() { # EXPERIMENT TITLE
	echo
	echo "$2"
	awk -F, 'NR == 1 { next }
		{ printf "%-16s %12.0f a second %9.0f MB/s  (%.3f µs; %.3f to %.3f)   %8.2f times the first\n", $2, 1e6 / $5, $3 / $5, $5, $6, $7, 1 / $9 }' "$OUT/$1.csv"
}

tables() {
	table_of_sizes send "Round trips of messages"
	table_of_sizes call "Remote calls"
	table_of_ways stream "One way, messages of 1 MiB"
	table_of_ways cast "One way, calls of 64 bytes"
	[ -e "$OUT/instructions.csv" ] || return 0
	echo
	echo "Instructions of a round trip, both ends, without the kernel's"
	awk -F, 'NR > 1 { printf "%-6s %-10s %8d bytes %12d\n", $1, $2, $3, $4 }' "$OUT/instructions.csv"
}

graph() { # EXPERIMENT TITLE FILE
	gnuplot -e "csv='$OUT/$1.csv'; heading='$2'; ways='$(ways "$1")'; svg='$3'" "$TOP/bench/part/ccm.gnuplot" || die "gnuplot makes no $3"
}

# A column of one line of a CSV file.
value() { # EXPERIMENT WAY SIZE COLUMN
	awk -F, -v way="$2" -v size="$3" -v column="$4" '$2 == way && $3 == size { print $column }' "$OUT/$1.csv"
}

# The worst of a way over all sizes, and where: "RATIO SIZE".
worst() { # EXPERIMENT WAY
	awk -F, -v way="$2" '$2 == way && $9 + 0 > worst + 0 { worst = $9; at = $3 } END { print worst, at }' "$OUT/$1.csv"
}

# By how much one way's one-way calls are faster than another's.
faster() { # WAY OTHER
	calc "$(value cast "$2" 64 5) / $(value cast "$1" 64 5)"
}

# Where plain ccm is not allowed, on another host, the encrypted one stands for it.
targets() {
	local way=ccm ratio at form
	[ -z "$PEER" ] || way=ccm-tls
	read -r ratio at <<<"$(worst send "$way")"
	target "$way / raw sockets, at the worst size ($at bytes)" "$ratio" 1.03 ""
	read -r ratio at <<<"$(worst call "$way")"
	target "$way / SunRPC, at the worst size ($at bytes)" "$ratio" 0.999 ""
	for form in sunrpc sunrpc-at-once; do
		target_least "$way: one-way calls of 64 bytes, times $form" "$(faster "$way" "$form")" 10 ""
	done
	printf '%-58s %9s      (no target)\n' "$way: one-way calls of 64 bytes, times sunrpc-batched" "$(faster "$way" sunrpc-batched)"
	target_least "ccm-tls: throughput of 1 MiB messages, part of raw" "$(calc "1 / $(value stream ccm-tls 1048576 9)")" 0.6 ""
	met
}
