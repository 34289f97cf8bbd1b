#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What ssi and the daemon's verbs show, against a control server that answers from files (tests/fake/bootsvc.c, ssi/*.json). With GOLDEN=1
# the expected outputs in ssi/golden are written anew; look at the difference before you keep it.
bats_require_minimum_version 1.5.0

setup() {
	answers=$BATS_TEST_TMPDIR/answers
	cp -r "$BATS_TEST_DIRNAME/ssi" "$answers"
	export SSI_SOCKET=$BATS_TEST_TMPDIR/run/bootsvc.sock NO_COLOR=
	export TERM=xterm LC_ALL=C.UTF-8
	mkfifo "$BATS_TEST_TMPDIR/ready"
	fake_start
}

fake_start() {
	local build
	build=$(dirname "$(command -v ssi)")/../../..
	"$build/tests/fake-bootsvc" "$SSI_SOCKET" "$answers" >"$BATS_TEST_TMPDIR/ready" 3>&- &
	fake=$!
	read -r -t 10 _ <"$BATS_TEST_TMPDIR/ready"
}

wait_for() { # COMMAND...: until it succeeds, 10 s at most
	local i
	for ((i = 0; i < 100; i++)); do
		"$@" && return
		sleep 0.1
	done
	echo "waited in vain for: $*" >&2
	return 1
}

teardown() {
	kill "$fake" 2>/dev/null || true
	wait "$fake" 2>/dev/null || true
}

golden() { # NAME WORDS...: standard output is ssi/golden/NAME
	local file=$BATS_TEST_DIRNAME/ssi/golden/$1
	shift
	run --separate-stderr "$@"
	if [ -n "${GOLDEN:-}" ]; then
		mkdir -p "${file%/*}"
		printf '%s\n' "$output" >"$file"
	fi
	diff -u "$file" <(printf '%s\n' "$output")
}

asked() { # the last request
	[ "$(tail -n 1 "$answers/requests")" = "$1" ]
}

@test "ssi status" {
	golden status ssi status
	[ "$status" -eq 0 ]
	[ -z "$stderr" ]
}

@test "ssi status, all well: nothing but the table" {
	echo '{"data": {"systems": [{"name": "demo", "nodes": 1, "joined": 1, "cpus": 1, "memory": 1048576}], "daemon": {}}}' >"$answers/status.json"
	echo '{"data": [{"name": "n01", "state": "joined"}]}' >"$answers/node.list.json"
	golden status-well ssi status
}

@test "ssi status without a system says what to do" {
	echo '{"data": {"systems": [], "daemon": {}}}' >"$answers/status.json"
	echo '{"data": []}' >"$answers/node.list.json"
	run ssi status
	[[ "$output" == *"No system is defined"*nodes.d* ]]
}

@test "ssi status -o json: the nodes that are not well along with it" {
	run --separate-stderr ssi status -o json
	[ "$status" -eq 0 ]
	[ "$(jq -r '.systems[0].cpus, (.not_well | map(.name) | join(","))' <<<"$output")" = $'6\nn04,n05' ]
}

@test "ssi load" {
	golden load ssi load
	[ "$status" -eq 0 ]
	ssi load 'n[01-02]'
	asked 'load {"range":"n[01-02]"}'
}

@test "ssi jobs, job show, job kill, job signal" {
	golden jobs ssi jobs
	[ "$status" -eq 0 ]
	asked 'jobs {"all":false}'
	ssi jobs -a
	asked 'jobs {"all":true}'
	golden job-show ssi job show 4713
	asked 'job.show {"job":"4713"}'
	run --separate-stderr ssi job signal TERM 4712
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"job 4712"*waits* ]]
	asked 'job.signal {"job":"4712","signal":15}'
	ssi job kill 4712
	asked 'job.signal {"job":"4712","signal":9}'
	run ssi job signal NONE 4712
	[ "$status" -eq 2 ]
}

@test "ssi run: what cannot be meant is said before anything is done" {
	local words
	for words in "-n n01 -N 2 true" "-n n[1 true" "-N 0 true" "--mem much true" "--time never true" "-t true" ""; do
		# shellcheck disable=SC2086 # words
		run --separate-stderr ssi run $words </dev/null
		[ "$status" -eq 2 ]
		[[ "$stderr" == ssi:* ]]
	done
	run -127 --separate-stderr ssi run "$BATS_TEST_TMPDIR/nothing"
	run -126 --separate-stderr ssi run true
	[[ "$stderr" == *jobs.sock*"no ssi-bootsvc is there"* ]]
}

@test "ssi node list" {
	golden node-list ssi node list
	golden node-list-state ssi node list --state detached
	golden node-list-names ssi node list --names
	ssi node list 'n[01-02]' --system demo
	asked 'node.list {"range":"n[01-02]","system":"demo"}'
	[ "$(ssi node list -o json --state failed | jq -r '.[].name')" = n05 ]
	[ "$(ssi node list -o json --state drained | jq -r '.[].name')" = n02 ]
}

@test "control characters from elsewhere do not reach the terminal" {
	run ssi node list
	[[ "$output" != *$'\033'* ]]
}

@test "colours on a terminal, and there only" {
	run script -qec "ssi node list" /dev/null
	[[ "$output" == *$'\033[32mjoined\033[0m'* ]]
	run env NO_COLOR=1 script -qec "ssi node list" /dev/null
	[[ "$output" != *$'\033'* ]]
	run ssi node list
	[[ "$output" != *$'\033'* ]]
}

@test "ssi node show" {
	golden node-show ssi node show n05
	asked 'node.show {"range":"n05"}'
	[ "$(ssi node show -o json n05 | jq -r '.[0].values[1].file')" = nodes.d/90-set-n05.ini ]
}

@test "ssi node show: a node that says anything of its boot" {
	echo '{"data": [{"name": "n05", "state": "joined", "boot": [
		{"stage": "init", "start_ms": 300000000000000000, "end_ms": 300000000000000001, "tries": 1},
		{"stage": "root", "start_ms": -9223372036854775808, "end_ms": 9223372036854775807, "tries": 1}]}]}' >"$answers/node.show.json"
	run ssi node show n05
	[ "$status" -eq 0 ]
	[[ "$output" == *init*root*"in all"* ]]
}

@test "ssi node set" {
	golden node-set ssi node set 'n[01-02]' image=x args='a b=c' machine=
	[ "$status" -eq 0 ]
	asked 'node.set {"range":"n[01-02]","set":{"args":"a b=c","image":"x","machine":""}}'
}

@test "ssi node set: every mistake is printed, nothing on standard output" {
	echo '{"error": "2 mistakes: nothing was changed", "errors": ["nodes.d/90-set-n01.ini:2: a", "nodes.d/90-set-n01.ini:3: b"]}' >"$answers/node.set.json"
	run --separate-stderr ssi node set n01 imgae=x
	[ "$status" -eq 1 ]
	[ -z "$output" ]
	[ "$stderr" = $'nodes.d/90-set-n01.ini:2: a\nnodes.d/90-set-n01.ini:3: b\nssi: 2 mistakes: nothing was changed' ]
}

@test "ssi node power: status 1 if any failed, and which" {
	golden node-power ssi node power 'n[01-02]' off
	[ "$status" -eq 1 ]
	[[ "$stderr" == "ssi: n02: fence_ipmilan: off failed"* ]]
	asked 'node.power {"action":"off","range":"n[01-02]"}'
	run --separate-stderr ssi node power 'n[01-02]' off -o json
	[ "$status" -eq 1 ]
	[ "$(jq -r '.[0].power' <<<"$output")" = on ]
}

@test "ssi node fence: what is proved; status 1 if any is not confirmed; --confirm asks for no fence" {
	golden node-fence ssi node fence 'n[01-02]'
	[ "$status" -eq 1 ]
	[ "$stderr" = "ssi: n02: not confirmed: power: no answer" ]
	asked 'node.fence {"range":"n[01-02]"}'
	run --separate-stderr ssi node fence n02 --confirm -o json
	[ "$(jq -r '.[1].fence.steps.power' <<<"$output")" = false ]
	asked 'node.fence {"confirm":true,"range":"n02"}'
}

@test "ssi node show: a fence that is not confirmed, and what is missing" {
	jq '{data: [{name: "n02", state: "detached", fence: .data[1].fence}]}' "$answers/node.fence.json" >"$answers/node.show.json"
	run --separate-stderr ssi node show n02
	[[ $output =~ outcome\ +not\ confirmed ]]
	[[ $output =~ missing\ +power ]]
	[[ $output =~ reason\ +power:\ no\ answer ]]
}

@test "ssi node reboot" {
	golden node-reboot ssi node reboot 'n[01-02]'
	[ "$status" -eq 0 ]
}

@test "ssi node drain, detach, accept" {
	golden node-drain ssi node drain 'n[01-03]'
	[ "$status" -eq 1 ]
	[ "$stderr" = "ssi: n03: it is detached: 'ssi node accept' lets it in again" ]
	asked 'node.drain {"range":"n[01-03]"}'
	golden node-detach ssi node detach 'n[01-02]'
	[ "$status" -eq 0 ]
	asked 'node.detach {"range":"n[01-02]"}'
	golden node-accept ssi node accept 'n[01-02]'
	[ "$status" -eq 0 ]
	asked 'node.accept {"range":"n[01-02]"}'
	[ "$(ssi node accept -o json 'n[01-02]' | jq -c 'map(.changed)')" = '[true,false]' ]
}

@test "ssi node state: what there is, and what is ordered" {
	golden node-state-list ssi node state list
	golden node-state-show ssi node state show n01
	[ "$(ssi node state show n01 --names)" = $'before-tuning\nbefore-20261101-101500.123' ]
	ssi node state list -o json | jq -e '.[1].state == "asks"'
	[ "$(ssi node state snapshot n01)" = 'n01: snapshot at-20261121-120000.001' ]
	asked 'node.state.snapshot {"node":"n01"}'
	ssi node state restore n01 before-tuning | grep -q 'n01: its state is that of snapshot before-tuning'
	asked 'node.state.restore {"name":"before-tuning","node":"n01"}'
	[ "$(ssi node state rm n01 before-tuning)" = 'n01: snapshot before-tuning removed' ]
	ssi node state rm n01 | grep -q '^n01: state volume removed'
	run --separate-stderr ssi node state accept 'n[02-03]' keep
	[ "$status" -eq 1 ]
	[ "$output" = 'n02: decided; its machine goes on by itself' ]
	[ "$stderr" = 'ssi: n03: its state volume waits for no decision' ]
	asked 'node.state.accept {"decision":"keep","range":"n[02-03]"}'
	run ssi node state accept n02 maybe
	[ "$status" -eq 2 ]
	run ssi node state
	[ "$status" -eq 2 ]
	run ssi node state restore n01
	[ "$status" -eq 2 ]
	ssi node state --help | grep -q 'state accept'
}

@test "ssi machine list and rm" {
	golden machine-list ssi machine list
	golden machine-rm ssi machine rm 52-54-00-00-00-09
	asked 'machine.rm {"mac":"52:54:00:00:00:09"}'
}

@test "ssi exec on several nodes: whole lines with the node's name, status 1 if any failed" {
	golden exec ssi exec 'n[01-02]' -- uname -n
	[ "$status" -eq 1 ]
	[ "$stderr" = $'n02: oops\nssi: n02: exit status 3' ]
	asked 'exec {"argv":["uname","-n"],"range":"n[01-02]"}'
}

@test "ssi exec on one node: output as it is" {
	printf '%s\n' '{"events": [{"node": "n01", "fd": 1, "data": "base64:a\nb"}], "data": [{"name": "n01", "status": 0}]}' >"$answers/exec.json"
	run --separate-stderr ssi exec n01 sh -c 'echo a; printf b'
	[ "$status" -eq 0 ]
	[ "$output" = $'a\nb' ]
	[ -z "$stderr" ]
	asked 'exec {"argv":["sh","-c","echo a; printf b"],"range":"n01"}'
}

@test "ssi exec -o json, a signal, a node that is not there" {
	run --separate-stderr ssi exec -o json n01,n02 true
	[ "$(jq -r '.[0].stdout' <<<"$output")" = $'Linux n01\nno newline' ]
	echo '{"failed": 2, "data": [{"name": "n01", "status": 137}, {"name": "n02", "status": 255, "error": "it is not joined"}]}' >"$answers/exec.json"
	run --separate-stderr ssi exec n01,n02 true
	[ "$status" -eq 1 ]
	[ "$stderr" = $'ssi: n01: ended by signal 9\nssi: n02: it is not joined' ]
}

@test "ssi-bootsvc status, reload, events" {
	local run_dir=$BATS_TEST_TMPDIR/run
	golden bootsvc-status ssi-bootsvc status --run "$run_dir"
	golden bootsvc-reload ssi-bootsvc reload --run "$run_dir"
	golden bootsvc-events ssi-bootsvc events --run "$run_dir"
	asked 'events {"follow":false,"limit":100}'
	ssi-bootsvc events --run "$run_dir" --since 40 --node 'n[01-02]'
	asked 'events {"follow":false,"node":"n[01-02]","since":40}'
	[ "$(ssi-bootsvc events --run "$run_dir" -o json | jq -r .kind | paste -sd,)" = boot,join,discover ]
}

@test "events --follow goes on when the daemon comes back, with what it missed" {
	local run_dir=$BATS_TEST_TMPDIR/run out=$BATS_TEST_TMPDIR/out follow
	jq '.hold = true' "$BATS_TEST_DIRNAME/ssi/events.json" >"$answers/events.json"
	ssi-bootsvc events --follow --run "$run_dir" >"$out" 2>"$out.err" 3>&- &
	follow=$!
	wait_for grep -q discover "$out"
	echo '{"hold": true, "events": [{"id": 44, "time": 1767225800000, "kind": "detach", "node": "n01", "text": "silent"}]}' >"$answers/events.json"
	kill -9 "$fake"
	wait "$fake" || true
	wait_for grep -q "waiting for it" "$out.err"
	fake_start
	wait_for grep -q "44  detach" "$out"
	kill "$follow"
	asked 'events {"follow":true,"since":43}'
	[ "$(wc -l <"$out")" -eq 4 ]
	[ "$(wc -l <"$out.err")" -eq 1 ]
}

@test "events --follow without a daemon to begin with: said at once" {
	kill -9 "$fake"
	wait "$fake" || true
	run --separate-stderr ssi-bootsvc events --follow --run "$BATS_TEST_TMPDIR/run"
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"is not running"* ]]
}

@test "ssi-bootsvc stop returns when the process has ended" {
	echo "{\"data\": {\"systems\": [], \"daemon\": {\"pid\": $fake}}}" >"$answers/status.json"
	ssi-bootsvc stop --run "$BATS_TEST_TMPDIR/run"
	[ ! -e "$SSI_SOCKET" ]
}

@test "not allowed to use the socket: who may" {
	if [ "$(id -u)" -eq 0 ]; then                        # root may everything: be nobody
		chmod 0755 "$BATS_TEST_TMPDIR" "${BATS_TEST_TMPDIR%/*}" "$BATS_RUN_TMPDIR"
		cp "$(command -v ssi)" "$BATS_TEST_TMPDIR/ssi"
		run --separate-stderr setpriv --reuid 65534 --regid 65534 --clear-groups "$BATS_TEST_TMPDIR/ssi" status
	else
		chmod 0 "$SSI_SOCKET"
		run --separate-stderr ssi status
	fi
	[ "$status" -eq 1 ]
	[[ "$stderr" == "ssi: not allowed to use "*": be root"* ]]
}
