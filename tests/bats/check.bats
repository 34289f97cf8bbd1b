#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# ssi-bootsvc check on a network of its own, with a real dnsmasq at the other end as the foreign DHCP server. As an ordinary user in
# a user namespace, as root in a network namespace.
# shellcheck disable=SC2016,SC2154 # the scripts expand in the namespace; run sets stderr
bats_require_minimum_version 1.5.0

setup() {
	mkdir -p "$BATS_TEST_TMPDIR/nodes.d"
	nodes_d server
}

nodes_d() { # server | proxy
	cat >"$BATS_TEST_TMPDIR/nodes.d/10-demo.ini" <<-END
		[system demo]
		interface = eth1
		network = 10.77.0.0/24
		dhcp = $1
		image = compute
		[node n[01-03]]
		address = 10.77.0.11
	END
}

# Run a script in new namespaces, where eth1 leads to the namespace of process $peer, in which it is called eth0.
inside() {
	local -a user=(--map-root-user)
	[ "$(id -u)" -ne 0 ] || user=()
	CHECK="ssi-bootsvc check --config $BATS_TEST_TMPDIR/nodes.d --run $BATS_TEST_TMPDIR/run --store $BATS_TEST_TMPDIR/store" TMP=$BATS_TEST_TMPDIR \
		run --separate-stderr timeout 60 unshare "${user[@]}" --net bash -euc "$SETUP"$'\n'"$1"
}

SETUP='
ip link set lo up
unshare --net sleep 100 &
peer=$!
trap "kill $peer" EXIT
for i in $(seq 50); do [ "$(readlink /proc/$peer/ns/net)" != "$(readlink /proc/self/ns/net)" ] && break; sleep 0.1; done
ip link add eth1 type veth peer name eth0 netns "$peer"
ip addr add 10.77.0.1/24 dev eth1
ip link set eth1 up
there() { nsenter --net="/proc/$peer/ns/net" "$@"; }
there ip addr add 10.77.0.5/24 dev eth0
there ip link set eth0 up
foreign() { there dnsmasq --port=0 --interface=eth0 --bind-interfaces --dhcp-range=10.77.0.100,10.77.0.120,1h --no-ping --conf-file=/dev/null \
	--dhcp-leasefile="$TMP/leases" --pid-file="$TMP/dnsmasq.pid" --user= --group= "$@"; trap "kill $peer \$(cat $TMP/dnsmasq.pid)" EXIT; }
'

finding() { # STATE TEXT of the one check that was run
	[ "$(jq -r '.[0].state' <<<"$output")" = "$1" ] || { echo "$output$stderr" >&2; return 1; }
	jq -r '.[0].findings[] | .text + " " + (.advice // "")' <<<"$output" | grep -F "$2" || { echo "$output" >&2; return 1; }
}

@test "a foreign DHCP server is found, and what to do" {
	inside 'foreign; $CHECK dhcp -o json'
	[ "$status" -eq 1 ]
	finding problem "eth1: 10.77.0.5 ("
	finding problem "offers 10.77.0.1"
	finding problem "dhcp = proxy"
}

@test "none is found where there is none" {
	inside '$CHECK dhcp -o json'
	[ "$status" -eq 0 ]
	finding ok "nobody else answers"
}

@test "proxy: the other server is expected, and named" {
	nodes_d proxy
	inside 'foreign; $CHECK dhcp -o json'
	[ "$status" -eq 0 ]
	finding ok "eth1: 10.77.0.5 ("
	finding ok "gives the addresses"
}

@test "proxy: without another server machines get no address" {
	nodes_d proxy
	inside '$CHECK dhcp -o json'
	[ "$status" -eq 1 ]
	finding problem "no DHCP server answers"
}

@test "another boot server on the segment" {
	inside 'foreign --dhcp-range=10.77.0.0,proxy --pxe-service=x86PC,"Other",other; $CHECK dhcp -o json'
	[ "$status" -eq 1 ]
	finding problem "10.77.0.5"
}

@test "an interface that is down" {
	inside 'ip link set eth1 down; $CHECK dhcp -o json'
	[ "$status" -eq 1 ]
	finding problem "eth1 is down"
}

@test "ports: held by others, by whom" {
	inside 'socat TCP-LISTEN:7780,fork SYSTEM:true & trap "kill $peer $!" EXIT
		for i in $(seq 50); do grep -q :1E64 /proc/net/tcp && break; sleep 0.1; done
		$CHECK ports -o json'
	[ "$status" -eq 1 ]
	finding problem "TCP port 7780 (boot scripts) is held by socat"
}

@test "firewall: a real ruleset of nft" {
	command -v nft >/dev/null || PATH=$PATH:/usr/sbin
	inside 'nft -f - <<E
table inet filter {
 chain input {
  type filter hook input priority 0; policy drop;
  iifname "eth1" udp dport { 67, 69 } accept
  iifname "eth1" tcp dport 7780-7781 accept
 }
}
E
$CHECK firewall -o json'
	[ "$status" -eq 1 ]
	finding problem "chain input of table inet filter drops TCP port 7701 (nodes) on eth1"
	finding problem 'iifname "eth1" tcp dport 2049 accept'
	[ "$(jq '.[0].findings | length' <<<"$output")" -eq 2 ]
}

@test "nodes.d: every mistake with file and line" {
	printf '[system demo]\nimage = x\nimgae = y\n[node n01]\naddress = 1.2.3.4\n' >"$BATS_TEST_TMPDIR/nodes.d/20-bad.ini"
	run --separate-stderr ssi-bootsvc check nodes.d --config "$BATS_TEST_TMPDIR/nodes.d" --run "$BATS_TEST_TMPDIR/run"
	[ "$status" -eq 1 ]
	[[ "$output" == *"20-bad.ini:3: "* ]]
}

@test "all checks as text: a word, a name, what to do; status 1" {
	inside '$CHECK'
	[ "$status" -eq 1 ]
	[[ "$output" == *"PROBLEM  images      image compute: there is none in"*"→ build it with"* ]]
	[[ "$output" == *" checks, "*" with a problem"* ]]
}
