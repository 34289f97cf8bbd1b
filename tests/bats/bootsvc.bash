# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A real ssi-bootsvc in a network of its own, for the tests of its verbs. Needs root, or a user who may make namespaces.
#
# Each test runs its body in a fresh network namespace (in_net FUNCTION). There, start_daemon serves a system "demo" on the interface
# lan0 (a bridge, 10.77.0.1/24), with 40 nodes and an image "compute" that holds four small files.

URL=http://10.77.0.1:7780

# Run a function of this file or its test inside new network and mount namespaces, bounded. What it prints, and its status, are the test's.
in_net() { # FUNCTION [ARG...]
	# Processes too, so that nothing outlives its test.
	local how=(unshare --net --mount --pid --fork --kill-child --mount-proc)
	[ "$(id -u)" -eq 0 ] || how+=(--user --map-root-user)
	export URL
	# shellcheck disable=SC2016
	timeout -k 5 "${NET_SECONDS:-60}" "${how[@]}" bash -c 'set -euo pipefail; ${SSI_TRACE:+set -x}; . "$0"; . "$1"; shift; net_up; trap net_down EXIT; "$@"' \
		"${BASH_SOURCE[0]}" "$BATS_TEST_DIRNAME/${CASES:-bootsvc-cases.bash}" "$@" </dev/null 3>&-
}

net_up() {
	# Not below bats' own directory: the user dnsmasq may not enter that one.
	WORK=$(mktemp -d /tmp/ssi-bats-XXXXXX)
	chmod 755 "$WORK"
	cd "$WORK" || exit
	PATH=$PATH:/usr/sbin:/sbin
	ip link set lo up
	ip link add lan0 type bridge
	ip link set lan0 up
	ip addr add 10.77.0.1/24 dev lan0
	mkdir -p nodes.d store/compute/.new
	local f
	for f in vmlinuz initramfs root.erofs; do
		echo "$f" >"store/compute/.new/$f"
		printf '"%s":{"size":%d,"sha256":"%s"}\n' "$f" $((${#f} + 1)) "$(sha256sum "store/compute/.new/$f" | cut -d' ' -f1)"
	done | paste -sd, | sed 's/.*/{"format":1,"name":"compute","files":{&}}/' >store/compute/.new/manifest.json
	publish .new
	export GEN
	GEN=$(readlink store/compute/current)
	cat >nodes.d/10-demo.ini <<-END
	[system demo]
	interface = lan0
	network = 10.77.0.0/24
	pool = 10.77.0.200-10.77.0.250
	discovery = bind
	[node n[01-40]]
	address = 10.77.0.11
	image = compute
	END
	HERE=(--config "$PWD/nodes.d" --state "$PWD/state" --run "$PWD/run" --store "$PWD/store")
	export SSI_SOCKET=$PWD/run/bootsvc.sock
	DAEMON='' OTHERS=()
}

# A folder of files with a manifest becomes the current generation, named by it.
publish() { # FOLDER
	local name
	name=sha256-$(sha256sum "store/compute/$1/manifest.json" | cut -d' ' -f1)
	mv "store/compute/$1" "store/compute/$name"
	ln -sfn "$name" store/compute/current
}

net_down() {
	local pid tries=100
	[ -z "$DAEMON" ] || kill -9 "$DAEMON" 2>/dev/null || :
	for pid in ${OTHERS[@]+"${OTHERS[@]}"}; do kill "$pid" 2>/dev/null || :; done
	! declare -F agents_clean >/dev/null || agents_clean
	umount -l "$WORK/run/export" 2>/dev/null || :
	umount -l "$WORK/run" 2>/dev/null || :
	# What was told to end may make a file yet.
	until rm -rf "$WORK" 2>/dev/null || [ $((tries -= 1)) -le 0 ]; do sleep 0.05; done
}

# A command that must come true, for so many seconds.
await() { # SECONDS COMMAND...
	local tries=$(($1 * 20)) seconds=$1
	shift
	until "$@" >/dev/null 2>&1; do
		if [ $((tries -= 1)) -le 0 ]; then
			echo "within $seconds s never: $*"
			tail -n 30 log
			return 1
		fi
		sleep 0.05
	done
}

bootsvc() { # VERB ARG...
	ssi-bootsvc "$1" "${HERE[@]}" "${@:2}"
}

start_daemon() { # [OPTION...]
	ssi-bootsvc start --foreground "${HERE[@]}" --exports none "$@" >>log 2>&1 </dev/null &
	DAEMON=$!
	await 10 ssi-bootsvc status "${HERE[@]}"
}

kill_daemon() {
	kill -9 "$DAEMON"
	wait "$DAEMON" 2>/dev/null || :
	DAEMON=''
}

boot() { # MAC
	curl -fsS --max-time 10 "$URL/boot/$1"
}

# The value of a kernel argument in a boot script on standard input.
arg() { # NAME
	sed -n "s/^kernel .* ssi\.$1=\([^ ]*\).*/\1/p"
}

node() { # NODE FIELD
	ssi node list "$1" -o json | jq -r ".[0].$2"
}

events() { # KIND...
	local kind
	for kind; do bootsvc events -n 100000 -o json | jq -r --arg k "$kind" 'select(.kind == $k) | .text'; done
}

fail() {
	echo "$*"
	return 1
}
