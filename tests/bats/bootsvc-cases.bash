# shellcheck shell=bash disable=SC2317,SC2016 # what await calls is reached; node_shell is given scripts
# SPDX-License-Identifier: GPL-2.0-or-later
# The bodies of bootsvc.bats: each runs in a network namespace of its own, with bootsvc.bash loaded and "set -e" on.

# A machine asks; asks again before it used its token; and what it may not learn by asking.
case_boot_script() {
	start_daemon --no-dhcp
	boot 52:54:00:00:00:01 >one
	grep -q '^#!ipxe' one
	[ "$(arg node <one)" = n01 ]
	[ "$(arg number <one)" = 1 ]
	[ "$(arg inc <one)" = 1 ]
	[ "$(arg ip <one)" = 10.77.0.11/24 ]
	grep -q "^kernel $URL/image/compute/$GEN/vmlinuz .*panic=30" one
	boot 52-54-00-00-00-01 >two
	[ "$(arg inc <two)" = 1 ]
	[ "$(arg token <two)" != "$(arg token <one)" ]
	curl -fsSI "$URL/boot/52:54:00:00:00:01" | grep -q '200 OK'
	[ "$(events arm | wc -l)" = 2 ]
	[ "$(node n01 state)" = booting ]
	[ "$(node n01 machine)" = 52:54:00:00:00:01 ]
}

case_http() {
	start_daemon --no-dhcp
	[ "$(curl -fsS "$URL/image/compute/$GEN/vmlinuz")" = vmlinuz ]
	[ "$(curl -fsSI "$URL/image/compute/$GEN/initramfs" | tr -d '\r' | sed -n 's/^Content-Length: //p')" = 10 ]
	local path
	[ "$(curl -fsS "$URL/image/compute/$GEN/root.erofs")" = root.erofs ]
	for path in /image/compute/current/vmlinuz "/image/compute/$GEN/manifest.json" /image/../../../etc/passwd "/image/nosuch/$GEN/vmlinuz" /boot/x /; do
		case $(curl -s --path-as-is -o /dev/null -w '%{http_code}' "$URL$path") in
		400 | 404) ;;
		*) fail "$path was served" ;;
		esac
	done
	[ "$(curl -s -o /dev/null -w '%{http_code}' -X POST -d x "$URL/boot/52:54:00:00:00:01")" = 405 ]
	[ "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:7780/boot/52:54:00:00:00:01)" = 403 ]
}

# Thirty-two machines, each asking until it is answered, all at once.
ask_all() {
	local i mac
	for i in $(seq 32); do
		mac=$(printf '52:54:00:00:01:%02x' "$i")
		(
			for _ in $(seq 200); do
				if boot "$mac" >"answer-$i" 2>/dev/null && grep -q '^kernel' "answer-$i"; then exit 0; fi
				sleep 0.05
			done
			exit 1
		) &
		OTHERS+=($!)
	done
}

answers_differ() {
	local i
	for i in $(seq 32); do arg node <"answer-$i"; done | sort -u | wc -l
}

case_discover_32() {
	local pid
	start_daemon --no-dhcp
	ask_all
	for pid in "${OTHERS[@]}"; do wait "$pid"; done
	[ "$(answers_differ)" = 32 ]
	[ "$(ssi node list -o json | jq -r '[.[] | select(.machine != "") | .name] | join(",")')" = "$(printf 'n%02d,' $(seq 32) | sed 's/,$//')" ]
}

case_discover_32_killed() {
	local pid i
	start_daemon --no-dhcp
	ask_all
	for i in 1 2 3 4 5 6 7 8; do
		sleep "0.0$i"
		kill_daemon
		start_daemon --no-dhcp
	done
	for pid in "${OTHERS[@]}"; do wait "$pid"; done
	[ "$(answers_differ)" = 32 ]
	[ "$(ssi node list -o json | jq '[.[] | select(.machine != "") | .machine] | unique | length')" = 32 ]
	# What a machine was told is what is stored.
	for i in $(seq 32); do
		[ "$(node "$(arg node <"answer-$i")" machine)" = "$(printf '52:54:00:00:01:%02x' "$i")" ]
	done
}

case_restart() {
	start_daemon --no-dhcp
	boot 52:54:00:00:00:01 >one
	boot 52:54:00:00:00:02 >two
	ssi node list -o json | jq 'map(del(.uptime_ms))' >before
	kill_daemon
	start_daemon --no-dhcp
	ssi node list -o json | jq 'map(del(.uptime_ms))' >after
	diff before after
	[ "$(events start | wc -l)" = 2 ]
	boot 52:54:00:00:00:02 >again
	[ "$(arg node <again)" = n02 ]
	[ "$(arg inc <again)" = 1 ]
	bootsvc stop
	wait "$DAEMON"
	DAEMON=''
	[ "$(sqlite3 state/bootsvc.db "select kind from event order by id desc limit 1")" = stop ]
	[ "$(stat -c %a state/bootsvc.db)" = 600 ]
	# A port that is held for a moment yet, as by a child of a daemon that was killed, is waited for.
	local other=("${HERE[@]//$PWD\/run/$PWD/other-run}")
	ssi-bootsvc start --foreground "${other[@]//$PWD\/state/$PWD/other-state}" --exports none --no-dhcp >>log 2>&1 </dev/null &
	OTHERS+=($!)
	await 10 curl -fsS "$URL/boot/52:54:00:00:00:03"
	{ sleep 0.5 && kill -9 "${OTHERS[-1]}"; } &
	start_daemon --no-dhcp
}

case_reload_errors() {
	start_daemon --no-dhcp
	boot 52:54:00:00:00:01 >/dev/null
	printf '[node n01]\nimgae = x\n[node n02]\naddress = 192.168.1.1\n[nonsense]\n' >nodes.d/20-wrong.ini
	ssi node list -o json >before
	if bootsvc reload 2>errors; then fail "reload took mistakes"; fi
	grep -q 'nodes.d/20-wrong.ini:2:.*imgae' errors
	grep -q 'nodes.d/20-wrong.ini:4:' errors
	grep -q 'nodes.d/20-wrong.ini:5:' errors
	ssi node list -o json >after
	diff <(jq 'map(del(.uptime_ms))' before) <(jq 'map(del(.uptime_ms))' after)
	rm nodes.d/20-wrong.ini
	bootsvc reload
}

case_reload_difference() {
	start_daemon --no-dhcp
	local i
	for i in 1 2 3; do boot 52:54:00:00:00:0$i >/dev/null; done
	printf '[node n02]\nargs = quiet\n[node x1]\naddress = 10.77.0.100\nimage = compute\n' >nodes.d/20-more.ini
	[ "$(bootsvc reload -o json | jq -c '[.added,.removed,.changed]')" = '[1,0,1]' ]
	boot 52:54:00:00:00:02 | grep -q '^kernel .* quiet'
	[ "$(bootsvc reload -o json | jq -c '[.added,.removed,.changed]')" = '[0,0,0]' ]
	# A node that is gone frees its machine, which gets another.
	sed -i 's/n\[01-40\]/n[02-40]/; s/10.77.0.11/10.77.0.12/' nodes.d/10-demo.ini
	[ "$(bootsvc reload -o json | jq -c '[.added,.removed,.changed]')" = '[0,1,0]' ]
	[ "$(boot 52:54:00:00:00:01 | arg node)" = n04 ]
	[ "$(boot 52:54:00:00:00:03 | arg node)" = n03 ]
}

# A machine as seen from its end of a cable.
plug_in() { # NAME
	ip link add "$1" type veth peer name "$1-lan"
	ip link set "$1-lan" master lan0 up
	ip link set "$1" up
}

lease() { # NAME MAC
	ip link set "$1" down
	ip link set "$1" address "$2" up
	busybox udhcpc -i "$1" -n -q -t 10 -T 1 -s /bin/true 2>&1 | tee -a udhcpc.log | sed -n 's/.*lease of \([0-9.]*\) obtained.*/\1/p'
}

dnsmasq_pid() {
	pgrep -P "$DAEMON" -x dnsmasq
}

case_dnsmasq() {
	plug_in m1
	start_daemon
	await 5 dnsmasq_pid
	local pid address
	pid=$(dnsmasq_pid)
	address=$(lease m1 52:54:00:00:00:01)
	[[ "$address" == 10.77.0.2?? ]] || fail "a stranger's address is of the pool, not '$address'"
	boot 52:54:00:00:00:01 >/dev/null
	[ "$(cat run/dnsmasq.hosts/52:54:00:00:00:01)" = 52:54:00:00:00:01,10.77.0.11,n01,2m ]
	await 5 test "$(lease m1 52:54:00:00:00:01)" = 10.77.0.11
	# A node is a file and a signal, a new one too.
	printf '[node n01]\naddress = 10.77.0.99\n[node x1]\naddress = 10.77.0.100\nimage = compute\n' >nodes.d/20-more.ini
	bootsvc reload
	grep -q ,10.77.0.99,n01, run/dnsmasq.hosts/52:54:00:00:00:01
	got_99() { [ "$(lease m1 52:54:00:00:00:01)" = 10.77.0.99 ]; }
	await 5 got_99
	[ "$(dnsmasq_pid)" = "$pid" ]
	# A system is another configuration.
	sed -i 's/^pool.*/pool = 10.77.0.210-10.77.0.220/' nodes.d/10-demo.ini
	bootsvc reload
	another() { local now; now=$(dnsmasq_pid) && [ "$now" != "$pid" ]; }
	await 5 another
	[[ "$(lease m1 52:54:00:00:00:77)" == 10.77.0.2[12]? ]]
}

case_dnsmasq_dies() {
	start_daemon
	await 5 dnsmasq_pid
	local pid
	# Ended because there is no system any more: that says nothing of the next one.
	mv nodes.d/10-demo.ini .
	bootsvc reload
	none() { ! dnsmasq_pid; }
	await 5 none
	mv 10-demo.ini nodes.d/
	bootsvc reload
	await 5 dnsmasq_pid
	pid=$(dnsmasq_pid)
	kill -9 "$pid"
	another() { local now; now=$(dnsmasq_pid) && [ "$now" != "$pid" ]; }
	await 5 another
	events dhcp | grep -q 'ended with signal 9'
	pid=$(dnsmasq_pid)
	kill_daemon
	gone() { [ ! -e "/proc/$pid" ] || grep -q '^State:.Z' "/proc/$pid/status"; }
	await 5 gone
	start_daemon
	await 5 dnsmasq_pid
}

case_waiting() {
	sed -i 's/^discovery.*/discovery = ask/' nodes.d/10-demo.ini
	start_daemon --no-dhcp
	boot 52:54:00:00:00:01 >one
	grep -q "echo ssi: machine 52:54:00:00:00:01 is not bound to a node" one
	grep -q '^chain' one
	if grep -q '^kernel' one; then fail "it was told to boot"; fi
	[ "$(ssi machine list -o json | jq -r '.[0].state')" = waiting ]
	ssi node set n05 machine=52:54:00:00:00:01
	[ "$(boot 52:54:00:00:00:01 | arg node)" = n05 ]
	# Its card was swapped: the node keeps its name and its numbers, the old card nothing.
	ssi node set n05 machine=52:54:00:00:00:02
	boot 52:54:00:00:00:02 >two
	[ "$(arg node <two)" = n05 ]
	[ "$(arg number <two)" = 5 ]
	[ "$(arg inc <two)" = 2 ]
	boot 52:54:00:00:00:01 | grep -q 'is not bound'
	ssi machine rm 52:54:00:00:00:01
	if ssi machine rm 52:54:00:00:00:02 2>errors; then fail "a bound machine was forgotten"; fi
	ssi node set n05 machine=
	[ "$(node n05 machine)" = '' ]
	sed -i 's/^discovery.*/discovery = spare/' nodes.d/10-demo.ini
	bootsvc reload
	boot 52:54:00:00:00:03 | grep -q 'kept as a spare'
	[ "$(ssi machine list -o json | jq -r '.[] | select(.mac == "52:54:00:00:00:03") | .state')" = spare ]
}

case_set() {
	start_daemon --no-dhcp
	ssi node set "n[02-03]" args="console=ttyS0 quiet"
	grep -q '^args = console=ttyS0 quiet$' nodes.d/90-set-n02.ini
	ssi node show n02 -o json | jq -e '.[0].values[] | select(.key == "args") | .file == "nodes.d/90-set-n02.ini" and .line == 3'
	ssi node set n02 role=leader
	grep -q '^args' nodes.d/90-set-n02.ini
	cp nodes.d/90-set-n02.ini before
	if ssi node set n02 address=192.168.1.1 2>errors; then fail "a wrong address was taken"; fi
	diff before nodes.d/90-set-n02.ini
	if ssi node set "n[02-03]" address=10.77.0.90 2>errors; then fail "one address for two"; fi
	if grep -q address nodes.d/90-set-n02.ini; then fail "half of it was written"; fi
	ssi node set n02 args=
	if grep -q '^args' nodes.d/90-set-n02.ini; then fail "args is still there"; fi
	# What another file would override is not written.
	printf '[node n04]\nrole = leader\n' >nodes.d/95-later.ini
	bootsvc reload
	if ssi node set n04 role=compute 2>errors; then fail "overridden, and not said"; fi
	grep -q 'nodes.d/95-later.ini:2 stands later' errors
	[ ! -e nodes.d/90-set-n04.ini ]
	# Numbers stay with their names, whatever is read first.
	printf '[node n09]\nargs = x\n' >nodes.d/05-early.ini
	ssi node list -o json | jq '[.[] | [.name, .number]] | sort' >before
	bootsvc reload
	kill_daemon
	start_daemon --no-dhcp
	ssi node list -o json | jq '[.[] | [.name, .number]] | sort' >after
	diff before after
	# A machine that nodes.d fixes is changed there.
	printf '[node n07]\nmachine = 52:54:00:00:00:07\n' >nodes.d/20-fixed.ini
	bootsvc reload
	boot 52:54:00:00:00:07 >seven
	[ "$(arg node <seven)" = n07 ]
	[ "$(arg number <seven)" = 7 ]
	ssi node set n07 machine=52:54:00:00:00:08
	[ "$(boot 52:54:00:00:00:08 | arg node)" = n07 ]
	bootsvc reload
	[ "$(node n07 machine)" = 52:54:00:00:00:08 ]
	# Nor is it taken from there by another node: the next start would give it back.
	if ssi node set n08 machine=52:54:00:00:00:08 2>errors; then fail "a fixed machine was taken"; fi
	grep -q 'nodes.d/90-set-n07.ini:3 fixes.* n07' errors
	[ "$(node n07 machine)" = 52:54:00:00:00:08 ]
	# All that is asked for, or nothing.
	if ssi node set n08 machine=52:54:00:00:00:0a role=king 2>errors; then fail "a king was taken"; fi
	grep -q 'nothing was changed' errors
	[ "$(node n08 machine)" = '' ]
	ssi node set n08 machine=52:54:00:00:00:0a role=leader
	[ "$(node n08 machine),$(node n08 role)" = 52:54:00:00:00:0a,leader ]
	# What the file's format would cut off is not taken for the whole.
	if ssi node set n08 args='quiet #1' 2>errors; then fail "a value was cut"; fi
	grep -q 'begins a comment' errors
	ssi node set n08 args='video=a#1;2'
	ssi node show n08 -o json | jq -e '.[0].values[] | select(.key == "args") | .value == "video=a#1;2"'
}

case_image() {
	start_daemon --no-dhcp
	boot 52:54:00:00:00:01 >/dev/null
	mv "store/compute/$GEN" "store/compute/.away"
	said() { events image-missing | grep -q compute; }
	await 5 said
	boot 52:54:00:00:00:01 >one
	grep -q 'echo ssi: n01 cannot boot: image compute' one
	mv store/compute/.away "store/compute/$GEN"
	back() { events image-back | grep -q compute; }
	await 5 back
	[ "$(events image-missing)" = "image compute, ${GEN:0:19}: manifest.json is missing (see 'ssi-mkimage verify', build it again)" ]
	[ "$(events image-back)" = 'image compute is whole again' ]
	boot 52:54:00:00:00:01 | grep -q ^kernel
	# Damaged without a change of size, and mended.
	cp "store/compute/$GEN/initramfs" whole
	printf x | dd of="store/compute/$GEN/initramfs" conv=notrunc status=none
	damaged() { events image-missing | grep -q 'initramfs is damaged'; }
	await 5 damaged
	boot 52:54:00:00:00:01 | grep -q 'echo ssi: n01 cannot boot: .*initramfs is damaged'
	cp whole "store/compute/$GEN/initramfs"
	boot 52:54:00:00:00:01 | grep -q ^kernel
	# Another generation is what the next boot gets; the old one is kept for those that run it.
	cp -r "store/compute/$GEN" store/compute/.new
	sed -i 's/^{/{"note":1,/' store/compute/.new/manifest.json
	publish .new
	[ "$(readlink store/compute/current)" != "$GEN" ]
	boot 52:54:00:00:00:01 | grep -q "/$(readlink store/compute/current)/vmlinuz"
	# What a manifest says goes to nodes: one that is not what its generation is named by says nothing.
	sed -i 's/"note":1/"note":2/' store/compute/current/manifest.json
	boot 52:54:00:00:00:01 | grep -q 'cannot boot: .*manifest.json is damaged: the generation is not named by it'
}

case_second_daemon() {
	start_daemon --no-dhcp
	if ssi-bootsvc start --foreground "${HERE[@]}" --exports none --no-dhcp 2>errors; then fail "two daemons on one state"; fi
	grep -q 'another ssi-bootsvc runs' errors
	mkdir other
	if ssi-bootsvc start --foreground --config nodes.d --state other/state --run other/run --store store --exports none --no-dhcp 2>errors; then
		fail "two daemons on one port"
	fi
	grep -q 'port 7780.*ss -ltnp' errors
}

case_background() {
	if ssi-bootsvc start "${HERE[@]}" --exports nonsense 2>errors; then fail "a backend that is none"; else [ $? -eq 2 ]; fi
	ssi-bootsvc start "${HERE[@]}" --exports none --no-dhcp
	bootsvc status >/dev/null
	if ssi-bootsvc start "${HERE[@]}" --exports none --no-dhcp 2>errors; then fail "two"; else [ $? -eq 1 ]; fi
	grep -q 'another ssi-bootsvc' errors
	bootsvc stop
	if ssi-bootsvc start "${HERE[@]/%\/run//errors}" --exports none --no-dhcp 2>said; then fail "a file for a folder"; else [ $? -eq 1 ]; fi
	grep -q "$PWD/errors: Not a directory" said
	printf '[node\n' >nodes.d/20-wrong.ini
	if ssi-bootsvc start "${HERE[@]}" --exports none --no-dhcp 2>errors; then fail "mistakes"; else [ $? -eq 1 ]; fi
	grep -q 'nodes.d/20-wrong.ini:1' run/bootsvc.log
	grep -q 'nodes.d/20-wrong.ini:1' errors
}

case_two_systems() {
	ip link add lan1 type bridge
	ip link set lan1 up
	ip addr add 10.78.0.1/24 dev lan1
	cat >nodes.d/20-other.ini <<-END
	[system other]
	interface = lan1
	network = 10.78.0.0/24
	discovery = bind
	[node o[1-2]]
	system = other
	address = 10.78.0.11
	image = compute
	END
	sed -i '/^\[node/a system = demo' nodes.d/10-demo.ini
	start_daemon --no-dhcp
	[ "$(boot 52:54:00:00:00:01 | arg node)" = n01 ]
	[ "$(curl -fsS http://10.78.0.1:7780/boot/52:54:00:00:00:02 | arg node)" = o1 ]
	[ "$(curl -fsS http://10.78.0.1:7780/boot/52:54:00:00:00:02 | arg master)" = 10.78.0.1:7701 ]
	curl -fsS http://10.78.0.1:7780/boot/52:54:00:00:00:01 | grep -q 'asks in the network of system other'
	curl -fsS http://10.78.0.1:7780/boot/52:54:00:00:00:03 >/dev/null
	curl -fsS http://10.78.0.1:7780/boot/52:54:00:00:00:04 | grep -q 'no free node'
}

# The sizes and times that a master must keep to.
case_large() {
	cat >nodes.d/10-demo.ini <<-END
	[system demo]
	interface = lan0
	network = 10.64.0.0/12
	master = 10.77.0.1
	[node n[0001-5000]]
	address = 10.65.0.1
	image = compute
	END
	local i ms took
	for i in $(seq 5000); do printf '[node n%04d]\nmachine = 52:54:00:00:%02x:%02x\n' "$i" $((i / 256)) $((i % 256)); done >nodes.d/20-machines.ini
	mkdir -p run
	mount -t tmpfs tmpfs run             # as /run is; a disk's file system may be slow at new files right after others of this machine's removed many
	start_daemon
	[ "$(find run/dnsmasq.hosts -type f | wc -l)" = 5000 ]
	sed -i 's/^image.*/&\nargs = quiet/' nodes.d/10-demo.ini
	ms=$(bootsvc reload -o json | jq 'if .changed == 5000 then .ms else 99999 end')
	[ "$ms" -lt 1000 ] || fail "a reload of 5,000 nodes took $ms ms"
	printf '[node n0007]\nargs = debug\n' >nodes.d/30-one.ini
	bootsvc reload >/dev/null
	ms=99999
	for i in 1 2 3 4 5; do        # of five: other work on this machine is not the daemon's
		printf '[node n0007]\nargs = debug%d\n' "$i" >nodes.d/30-one.ini
		took=$(bootsvc reload -o json | jq 'if .changed == 1 then .ms else 99999 end')
		if [ "$took" -lt "$ms" ]; then ms=$took; fi
	done
	echo "one of 5,000: $ms ms"
	[ "$ms" -lt "${SSI_ONE_NODE_MS:-50}" ] || fail "a reload of one changed node took $ms ms"
}

case_idle() {
	start_daemon
	await 5 dnsmasq_pid
	switches() { sed -n 's/^voluntary_ctxt_switches:[^0-9]*//p' "/proc/$DAEMON/status"; }
	quiet() { local a; a=$(switches); sleep 3; [ "$(switches)" = "$a" ]; }
	quiet || quiet
	[ "$(bootsvc status -o json | jq '.daemon.rss < 20971520')" = true ]
}

case_follow() {
	start_daemon --no-dhcp
	bootsvc events --follow -n 10 -o json >followed &
	OTHERS+=($!)
	boot 52:54:00:00:00:01 >/dev/null
	heard() { jq -e 'select(.kind == "arm" and .node == "n01")' followed | grep -q .; }
	await 5 heard
	[ "$(jq -r .kind followed | paste -sd' ')" = "start discover bind arm" ]
	bootsvc events --node n01 -o json | jq -r .kind | paste -sd' ' | grep -qx 'bind arm'
}

# A node without a machine: the real init-line and ssi-agent in a mount namespace of their own, where /proc/cmdline and /run are the node's.
export HELPERS
HELPERS=$(dirname "$(command -v ssi-bootsvc)")/../libexec/ssi
BUILD=$(dirname "$(command -v ssi-bootsvc)")/../../..      # it is staged in there

node_shell() { # SCRIPT MAC, as a child of its own mount namespace
	exec unshare --mount bash -euc '
		mount -t tmpfs none /run
		mkdir /run/ssi
		mount --bind "cmdline-$1" /proc/cmdline
		grep -o "ssi\.[^ ]*" "cmdline-$1" | grep -v "^ssi.token=" >/run/ssi/bootargs
		eval "$0"' "$@"
}

cmdline_of() { # MAC
	boot "$1" | sed -n 's/^kernel [^ ]* \(.*\) || goto failed/\1/p' >"cmdline-$1"
}

# Boots MAC as far as a node gets; its agent's pid is in agent-MAC, the pid it takes for init's in init-MAC.
node_up() { # MAC
	cmdline_of "$1"
	env --default-signal=INT sleep 1000 &
	echo $! >"init-$1"
	(INIT=$!; export INIT; node_shell '"$HELPERS/init-line" token && exec "$(dirname "$HELPERS")/../sbin/ssi-agent" --init="$INIT"' "$1") >>"agent-log-$1" 2>&1 &
	echo $! >"agent-$1"
}

states() { ssi node list -o json | jq -r '[.[] | select(.state != "off") | .name + "=" + .state + "/" + (.incarnation | tostring)] | join(" ")'; }
are() { [ "$(states)" = "$1" ]; }

case_join() {
	start_daemon --no-dhcp
	local i
	for i in 1 2 3; do node_up 52:54:00:00:00:0$i; done
	await 10 are 'n01=joined/1 n02=joined/1 n03=joined/1'
	[ "$(ssi status -o json | jq '[.systems[0] | .joined, .cpus] == [3, 3 * '"$(nproc)"']')" = true ]
	events boot | grep -q 'has its key'
	[ "$(ssi exec n02 -- echo hello | grep -c hello)" = 1 ]
	# The daemon dies: nothing is forgotten and nobody boots again.
	kill_daemon
	start_daemon --no-dhcp
	await 10 are 'n01=joined/1 n02=joined/1 n03=joined/1'
	back() { [ "$(events rejoin | wc -l)" -ge 3 ]; }
	await 10 back
	# Silence is noticed in its time, also this soon after a start; others are undisturbed, and who wakes up finds the door closed.
	kill -STOP "$(cat agent-52:54:00:00:00:02)"
	await 5 are 'n01=joined/1 n02=detached/1 n03=joined/1'
	kill -CONT "$(cat agent-52:54:00:00:00:02)"
	told() { ! kill -0 "$(cat init-52:54:00:00:00:02)"; }
	await 10 told
	kill "$(cat agent-52:54:00:00:00:02)" || :
	node_up 52:54:00:00:00:02
	await 10 are 'n01=joined/1 n02=joined/2 n03=joined/1'
}

# Anyone may ask in a node's name; that alone ends nothing. A token that comes twice ends its boot.
case_intrusion() {
	start_daemon --no-dhcp
	node_up 52:54:00:00:00:01
	await 10 are 'n01=joined/1'
	cp cmdline-52:54:00:00:00:01 used
	boot 52:54:00:00:00:01 | grep -q 'ssi.inc=2 '
	are 'n01=joined/1'
	cp used cmdline-thief
	if (node_shell '"$HELPERS/init-line" token' thief) >thief.log 2>&1; then fail "a used token gave a key"; fi
	events intrusion | grep -q 'its token was used again'
	await 5 are ''
	events leave | grep -q 'its token was used twice'
	# Not by restarting either.
	kill_daemon
	start_daemon --no-dhcp
	sleep 1
	are ''
	kill "$(cat agent-52:54:00:00:00:01)" || :
	node_up 52:54:00:00:00:01
	await 10 are 'n01=joined/2'
	# A guess is no token.
	sed 's/ssi.token=.*ssi.root/ssi.token=0000000000000000000000000000000000000000000000000000000000000000 ssi.root/' cmdline-52:54:00:00:00:01 >cmdline-thief
	if (node_shell '"$HELPERS/init-line" token' thief) >thief.log 2>&1; then fail "a guessed token gave a key"; fi
	[ "$(events intrusion | wc -l)" = 1 ]
	are 'n01=joined/2'
}

case_boot_failed() {
	start_daemon --no-dhcp
	cmdline_of 52:54:00:00:00:01
	(node_shell '"$HELPERS/init-line" token && "$HELPERS/init-line" failed root "mount 10.77.0.1: Connection timed out" "Rebooting"' 52:54:00:00:00:01)
	events boot-failed | grep -q 'at root: mount 10.77.0.1: Connection timed out'
	[ "$(node n01 state)" = failed ]
	node n01 reason | grep -q 'Connection timed out'
}

# Is a lock held on the generation's manifest?
held() { ! flock -n "store/compute/$GEN/manifest.json" true; }

# What init-image says, as a boot of that machine with those words changed (sed).
fetch() { # MAC [SED-SCRIPT]
	sed "${2:-}" "cmdline-$1" >cmdline-changed
	(node_shell '"$HELPERS/init-image" fetch 3>/run/ssi/said || { grep -a . /run/ssi/said | tr -d "\0"; exit 1; }' changed) >said 2>&1 || return
}

case_root_ram() {
	sed -i 's/^image = compute$/&\nroot = ram/' nodes.d/10-demo.ini
	# The daemon with exports: there is no NFS server here, and it wants none. This host's own is not told anything.
	[ ! -d /etc/exports.d ] || mount -t tmpfs exports.d /etc/exports.d
	ssi-bootsvc start --foreground "${HERE[@]}" --no-dhcp >>log 2>&1 </dev/null &
	DAEMON=$!
	await 10 ssi-bootsvc status "${HERE[@]}"
	cmdline_of 52:54:00:00:00:01
	local args
	args=$(cat cmdline-52:54:00:00:00:01)
	[[ $args == *" ssi.root=ram:$URL/image/compute/$GEN/root.erofs ssi.root.size=11 ssi.root.sha256=$(sha256sum "store/compute/$GEN/root.erofs" | cut -d' ' -f1) "* ]]
	[ "$(events export)" = '' ]
	held
	[ "$(node n01 root)" = ram ]
	# Refused, with the reason: before anything is fetched, for what came, for what did not come.
	if fetch 52:54:00:00:00:01 's/ssi.root.size=11/ssi.root.size=1000000000000000/'; then fail "it fits"; fi
	grep -qa 'memory too small for root = ram' said
	[ "$(events stage)" = '' ]
	if fetch 52:54:00:00:00:01 's/ssi.root.sha256=..../ssi.root.sha256=0000/'; then fail "another image"; fi
	grep -qa "$GEN/root.erofs: it was damaged" said
	events stage | grep -q 'fetches root.erofs'
	if fetch 52:54:00:00:00:01 's/ssi.root.size=11/ssi.root.size=12/'; then fail "another size"; fi
	grep -qa 'it has 11 bytes and should have 12' said
	if fetch 52:54:00:00:00:01 's/sha256-......../sha256-00000000/'; then fail "there is none"; fi
	grep -qa 'has no /image/compute/sha256-00000000' said
	# Changed by one word: the next boot has it so, and this one is what it was.
	sed -i '/^root = ram/d' nodes.d/10-demo.ini
	bootsvc reload
	held
	[ "$(node n01 root)" = ram ]
}

# Folders of this host: they have to be there, are named in the boot script, and the users go with them.
case_shared() {
	start_daemon --no-dhcp
	sed -i 's/^discovery = bind$/&\nshared = \/opt, \/srv\/ssi-bats-has-none:no_root_squash/' nodes.d/10-demo.ini
	if bootsvc reload 2>said; then fail "there is no such folder"; fi
	grep -q '10-demo.ini:6: shared = /srv/ssi-bats-has-none: there is no such folder on this master' said
	cmdline_of 52:54:00:00:00:01
	if grep -q ssi.shared "cmdline-52:54:00:00:00:01"; then fail "nothing was to change"; fi
	sed -i 's/^shared = .*/shared = \/opt, \/srv:no_root_squash/' nodes.d/10-demo.ini
	bootsvc reload
	cmdline_of 52:54:00:00:00:01
	grep -q ' ssi.shared=/opt,/srv ' "cmdline-52:54:00:00:00:01"
	[ -f run/export/users/passwd ] && [ -f run/export/users/group ]
	if grep -q '^root:' run/export/users/passwd; then fail "root is no person"; fi
	# At a start it is said, and the daemon serves all the same; those nodes wait.
	kill_daemon
	sed -i 's/^shared = .*/shared = \/srv\/ssi-bats-has-none/' nodes.d/10-demo.ini
	start_daemon --no-dhcp
	grep -q 'shared = /srv/ssi-bats-has-none: there is no such folder' log
}

# Strangers, and a node with a good key that means ill, against the whole daemon: thirty nodes and one that counts its round trips feel nothing.
case_siege() {
	start_daemon --no-dhcp
	mkfifo orders
	"$BUILD/sim-nodes" -n 30 --master=10.77.0.1 <>orders >sim 2>sim-log &
	OTHERS+=($!)
	all_in() { [ "$(ssi status -o json | jq '.systems[0].joined')" -ge 30 ]; }
	await 30 all_in
	"$BUILD/tests/chaos/siege" --daemon="$DAEMON" --master=10.77.0.1 || fail "it did not withstand: $(tail -n 5 log)"
	# Nobody was lost, nor had to come back; the token that was used again was told of once, the mad node at most a hundred times.
	echo report >orders
	await 10 grep -q 'joined 30 of 30' sim
	grep -q 'lost 0' sim
	[ "$(events intrusion | wc -l)" = 1 ]
	[ "$(events node-event | wc -l)" -le 100 ]
	[ "$(events hotplug | wc -l)" -le 200 ]
	[ "$(events refuse | wc -l)" -le 100 ]
	kill -0 "$DAEMON"
	all_in
}

# Standard input goes to the command on every node, no faster than the slowest takes it; without -i there is none.
case_exec_input() {
	start_daemon --no-dhcp
	local i sum
	for i in 1 2 3; do node_up 52:54:00:00:00:0$i; done
	await 10 are 'n01=joined/1 n02=joined/1 n03=joined/1'
	[ "$(echo hello | ssi exec -i n02 -- cat)" = hello ]
	[ "$(ssi exec n02 -- cat)" = '' ]
	[ "$(echo unread | ssi exec n02 -- wc -c)" = 0 ]
	# More than every window on the way; one of them reads slowly, and one not at all.
	head -c 9000000 /dev/urandom >large
	sum=$(sha256sum <large)
	[ "$(ssi exec -i -N n01,n02 -- sh -c "mkdir $PWD/slow 2>/dev/null && sleep 1; sha256sum" <large | sort -u)" = "$sum" ]
	[ "$(ssi exec -i n03 -- head -c 3 <large | wc -c)" = 3 ]
	[ "$(ssi exec -i n01,n03 -- sh -c 'exec <&-; echo deaf' <large | sort | xargs)" = 'n01: deaf n03: deaf' ]
	[ "$(ssi exec -i n01 -- cat <large | sha256sum)" = "$sum" ]
	# A client of another kind, that ends its input by shutting its end while the node reads slowly.
	(printf '{"verb":"exec","args":{"range":"n01","argv":["sh","-c","sleep 1; wc -c"],"input":true}}\n'
		for i in {1..40}; do printf '{"input":"%s"}\n' "$(head -c 30000 /dev/zero | base64 -w 0)"; done) | timeout 20 socat -t 15 - "UNIX-CONNECT:$SSI_SOCKET" >answer
	[ "$(jq -r 'select(.event) | .event.data' answer | base64 -d)" = 1200000 ]
	# What is no input ends the client, and with it the command.
	(printf '{"verb":"exec","args":{"range":"n01","argv":["sleep","1234"],"input":true}}\n'; sleep 1; echo '{"input":7}'; sleep 1) | timeout 10 socat - "UNIX-CONNECT:$SSI_SOCKET" >answer || :
	ended() { ! pgrep -f 'sleep 1234'; }
	await 5 ended
	[ "$(ssi exec n01 -- echo alive)" = alive ]
}

# A client that does not read for a while is waited for, however many nodes have something to say to it.
case_exec_slow_reader() {
	start_daemon --no-dhcp
	local i
	for i in {10..39}; do node_up 52:54:00:00:00:"$i"; done
	all_in() { [ "$(ssi status -o json | jq '.systems[0].joined')" = 30 ]; }
	await 30 all_in
	[ "$(ssi exec -N 'n[01-30]' -- head -c 1000000 /dev/zero | { sleep 2; wc -c; })" = 30000000 ]
	[ "$(ssi exec -N 'n[01-30]' -- echo here | { sleep 1; wc -l; })" = 30 ]
}

# --- fencing ---

# A fence agent that does as the file "bmc" says; what the machine's power is, is in the file "power".
fake_bmc() { # MAC
	mkdir -p bin
	cat >bin/fence_fake <<-END
	#!/bin/bash
	while read -r line; do case \$line in action=*) action=\${line#action=} ;; esac; done
	how=\$(cat $PWD/bmc)
	echo "\$action \$how" >>$PWD/bmc.log
	case \$how in
	slow) sleep 2 ;;
	dead) exec sleep 60 ;;
	wrong) echo 'no such thing' >&2; exit 1 ;;
	esac
	case \$action in
	on) echo on >$PWD/power ;;
	off) [ "\$how" = stuck ] || echo off >$PWD/power ;;
	status) [ "\$(cat $PWD/power)" = on ] || exit 2 ;;
	esac
	END
	chmod +x bin/fence_fake
	PATH=$PWD/bin:$PATH
	echo on >power
	printf '[machine %s]\npower = fence_fake\npower.timeout = 3s\n' "$1" >>nodes.d/10-demo.ini
}

fence_says() { ssi node show "$1" -o json | jq -e ".[0].fence | $2"; }
door_closed() { nft -j list table inet ssi-fence | jq -e --arg m "$1" '[.nftables[].set.elem[]?] | index($m) != null'; }
no_doors() { ! nft list table inet ssi-fence; }

# A machine on the LAN with an address and an Ethernet address of its own; in it: machine COMMAND...
machine_up() { # ADDRESS MAC
	ip link add lan1 type veth peer name eth0 address "$2"
	ip link set lan1 master lan0 up
	unshare --net sleep 1000 &
	MACHINE=$!
	OTHERS+=("$MACHINE")
	elsewhere() { [ "$(readlink "/proc/$MACHINE/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }
	await 5 elsewhere
	ip link set eth0 netns "$MACHINE"
	machine ip link set eth0 up
	machine ip addr add "$1/24" dev eth0
}
machine() { nsenter --net --target "$MACHINE" "$@"; }

case_fence_storage() {
	sed -i 's/^discovery.*/&\nfence = storage/' nodes.d/10-demo.ini
	sed -i 's|^discovery.*|&\nshared = /home|' nodes.d/10-demo.ini
	start_daemon --no-dhcp
	local mac=52:54:00:00:00:01 step
	node_up $mac
	await 20 are 'n01=joined/1'
	# While it runs, no other machine becomes it, and nor is it taken from its machine.
	if ssi node set n01 machine=52:54:00:00:00:02 2>errors; then fail "a running node with state was given to another machine"; fi
	grep -q "n01 has state that two machines must not write to, and is joined: 'ssi node fence n01' first" errors
	if ssi node set n01 machine= 2>errors; then fail "a running node with state was taken from its machine"; fi
	ssi node fence n01 -o json >fenced
	jq -e '.[0].fence | .phase == "confirmed" and .policy == "storage" and ([.steps[]] | all) and (.steps | has("power") | not)' fenced
	await 5 are ''
	told() { ! kill -0 "$(cat init-"$mac")"; }
	await 10 told
	for step in begins key: iscsi: door: nfs:; do events fence | grep -q "^$step" || fail "no event of $step"; done
	events fenced | grep -q 'all that .fence = storage. asks for is proved'
	door_closed $mac
	# The key is over, also for an agent that starts anew.
	if (node_shell 'timeout 5 "$(dirname "$HELPERS")/../sbin/ssi-agent" --init=1' $mac) >stale.log 2>&1; then :; fi
	are ''
	# Packets of that address: a boot's pass, others do not.
	machine_up 10.77.0.11 $mac
	machine curl -fsS --max-time 5 -o /dev/null "$URL/image/compute/$GEN/vmlinuz"
	python3 -m http.server 2049 --bind 10.77.0.1 >/dev/null 2>&1 &
	OTHERS+=($!)
	await 5 curl -fsS --max-time 1 -o /dev/null http://10.77.0.1:2049/
	if machine curl -fsS --max-time 2 -o /dev/null http://10.77.0.1:2049/; then fail "the door is open"; fi
	# Somebody loads a firewall anew: it is seen, and closed again.
	nft flush ruleset
	machine curl -fsS --max-time 2 -o /dev/null http://10.77.0.1:2049/
	await 15 door_closed $mac
	events fence-failed | grep -q 'taken away: somebody opened doors to fenced machines; they are closed again'
	# It stays closed while there is no daemon, and is again after a power cut of the master.
	kill_daemon
	nft flush ruleset
	start_daemon --no-dhcp
	await 5 door_closed $mac
	ssi-bootsvc stop "${HERE[@]}"
	door_closed $mac
	wait "$DAEMON" || :
	start_daemon --no-dhcp
	# The machine itself asks: it is fresh, and its door goes. Who asks in its name from elsewhere opens nothing.
	boot $mac >/dev/null
	sleep 0.5
	door_closed $mac
	machine curl -fsS --max-time 5 "$URL/boot/$mac" | grep -q 'ssi.inc=2 '
	await 5 no_doors
	machine curl -fsS --max-time 2 -o /dev/null http://10.77.0.1:2049/
	events fence | grep -q 'its machine asks for a boot script: this master is open to it again'
	# Confirmed, so another machine may have it.
	ssi node set n01 machine=52:54:00:00:00:02
	node_up 52:54:00:00:00:02
	await 20 are 'n01=joined/3'
	[ "$(ssi node show n01 -o json | jq '.[0] | has("fence")')" = false ]
}

case_fence_power() {
	sed -i 's/^discovery.*/&\nfence = both/' nodes.d/10-demo.ini
	fake_bmc 52:54:00:00:00:01
	echo good >bmc
	start_daemon --no-dhcp
	node_up 52:54:00:00:00:01
	await 10 are 'n01=joined/1'
	# Slow: it takes its time, and is confirmed.
	echo slow >bmc
	ssi node fence n01 &
	local asked=$!
	await 3 are 'n01=fencing/1'
	boot 52:54:00:00:00:01 | grep -q 'echo ssi: machine 52:54:00:00:00:01 waits: it is being fenced, as n01'
	wait $asked
	[ "$(cat power)" = off ]
	[ "$(cat bmc.log)" = "$(printf 'off slow\nstatus slow')" ]
	are ''
	events fence | grep -q '^power: the power of 52:54:00:00:00:01 is off, asked for again afterwards'
	# It says that it switched off and did not; it answers wrongly; it does not answer: not confirmed, storage holds, and why is said.
	local how what
	for how in 'stuck said that it switched it off, and now says that it is on' 'wrong no such thing' 'dead power controller does not answer'; do
		what=${how#* } how=${how%% *}
		echo on >power
		echo good >bmc
		kill "$(cat agent-52:54:00:00:00:01)" 2>/dev/null || :
		node_up 52:54:00:00:00:01
		joined() { [ "$(node n01 state)" = joined ]; }
		await 10 joined
		echo "$how" >bmc
		if ssi node fence n01 2>errors; then fail "confirmed, though the BMC is $how"; fi
		grep -q "^ssi: n01: not confirmed: power: .*$what" errors || fail "$(cat errors)"
		[ "$(node n01 state)" = detached ]
		[[ $(node n01 reason) == "not fenced: power: "* ]]
		fence_says n01 '.phase == "work" and .steps == {"key": true, "iscsi": true, "door": true, "nfs": true, "power": false}'
		door_closed 52:54:00:00:00:01
		events fence-failed | grep -q "$what"
	done
	# Killed in the middle, and started again: it goes on by itself, and does not begin anew.
	kill_daemon
	echo good >bmc
	start_daemon --no-dhcp
	await 5 fence_says n01 '.phase == "confirmed"'
	are ''
	events fence | grep -q 'goes on after a start of the daemon'
	[ "$(cat power)" = off ]
	# Pulled by hand: who said so is on record.
	node_up 52:54:00:00:00:01
	joined() { [ "$(node n01 state)" = joined ]; }
	await 10 joined
	if ssi node fence n01 --confirm 2>errors; then fail "confirmed what was not begun"; fi
	grep -q "no fence of n01 waits to be confirmed: 'ssi node fence n01' begins one" errors
	echo wrong >bmc
	kill "$(cat agent-52:54:00:00:00:01)"
	if ssi node fence n01; then fail "confirmed"; fi
	ssi node fence n01 --confirm | grep -q 'n01.*52:54:00:00:00:01.*confirmed.*key, iscsi, door, nfs'
	events fenced | grep -q "confirmed by hand: the user with uid $(id -u) says that its machine is off"
	are ''
}

# A BMC that says "off" while the machine runs on: the doors hold, and when the machine speaks it is known.
case_fence_lies() {
	sed -i 's/^discovery.*/&\nfence = both\ndetach = 2s/' nodes.d/10-demo.ini
	fake_bmc 52:54:00:00:00:01
	echo good >bmc
	start_daemon --no-dhcp
	node_up 52:54:00:00:00:01
	await 10 are 'n01=joined/1'
	kill -STOP "$(cat agent-52:54:00:00:00:01)"
	await 10 are 'n01=detached/1'
	ssi node fence n01
	are ''
	door_closed 52:54:00:00:00:01
	kill -CONT "$(cat agent-52:54:00:00:00:01)"
	told() { ! kill -0 "$(cat init-52:54:00:00:00:01)"; }
	await 10 told
	# It had the order to reboot unread in its socket. This one stays, and knocks again.
	found_out() { events fence-failed | grep -qF 'its machine speaks, and its power was said to be off (confirmed: all that'; }
	await 20 found_out
	await 10 fence_says n01 '.phase == "confirmed"'
	are ''
	[ "$(events fenced | wc -l)" = 2 ]
}

# kill -9 at any moment of a fence: it ends confirmed, by the same steps.
case_fence_killed() {
	sed -i 's/^discovery.*/&\nfence = both/' nodes.d/10-demo.ini
	fake_bmc 52:54:00:00:00:01
	echo good >bmc
	start_daemon --no-dhcp
	local i
	for i in 1 2 3 4 5 6; do
		node_up 52:54:00:00:00:01
		joined() { [ "$(node n01 state)" = joined ]; }
		await 10 joined
		ssi node fence n01 >/dev/null 2>&1 &
		sleep "0.0$((i * 15))"
		kill_daemon
		start_daemon --no-dhcp
		# Before anything of it was stored: nobody knows of that one.
		if ! fence_says n01 '.phase != null'; then ssi node fence n01; fi
		await 10 fence_says n01 '.phase == "confirmed"'
		await 5 are ''
		door_closed 52:54:00:00:00:01
		kill "$(cat agent-52:54:00:00:00:01)" 2>/dev/null || :
	done
}

# A machine that nodes.d fixes: another one there counts once the last one is fenced.
case_fence_fixed() {
	sed -i 's|^discovery.*|&\nfence = storage\nshared = /home|' nodes.d/10-demo.ini
	printf '[node n01]\nmachine = 52:54:00:00:00:01\n' >nodes.d/20-fixed.ini
	start_daemon --no-dhcp
	node_up 52:54:00:00:00:01
	await 10 are 'n01=joined/1'
	if ssi node set n01 machine=52:54:00:00:00:02 2>errors; then fail "set"; fi
	grep -q "is joined: 'ssi node fence n01' first" errors
	[ ! -e nodes.d/90-set-n01.ini ]
	sed -i 's/:01$/:02/' nodes.d/20-fixed.ini
	printf '[node x01]\naddress = 10.77.0.90\nimage = compute\n' >nodes.d/30-more.ini
	bootsvc reload
	events bind | grep -q "not yet, though it is fixed in nodes.d/20-fixed.ini:2: n01 has state that two machines must not write to, and is joined"
	[ "$(node n01 machine)" = 52:54:00:00:00:01 ]
	[ "$(node x01 number)" = 41 ]
	are 'n01=joined/1'
	# What the reload did besides is stored.
	kill_daemon
	start_daemon --no-dhcp
	[ "$(node n01 machine)" = 52:54:00:00:00:01 ]
	[ "$(node x01 number)" = 41 ]
	ssi node fence n01
	[ "$(node n01 machine)" = 52:54:00:00:00:02 ]
	boot 52:54:00:00:00:02 | grep -q 'ssi.node=n01 '
	boot 52:54:00:00:00:01 | grep -q 'ssi.node=n02 '
}

# A BMC that speaks IPMI, with fence_ipmilan: its chassis is the file "power", and it does as the file "bmc" says.
ipmi_bmc() { # MAC
	cat >chassis <<-END
	#!/bin/bash
	# chassis 0x20 get|set power [0|1]
	cd $PWD
	while [ "\$(cat bmc)" = dead ]; do sleep 0.2; done
	verb=\$2
	shift 2
	while [ \$# -gt 0 ]; do
		case "\$verb \$1 \$(cat bmc)" in
		"get power lie") echo power:0 ;;
		"get power "*) [ "\$(cat power)" = on ] && echo power:1 || echo power:0 ;;
		"get "*) echo "\$1:default" ;;
		"set power lie") ;;
		"set power slow") [ "\$2" = 1 ] || (sleep 20; echo off >power) </dev/null >/dev/null 2>&1 & ;;
		"set power "*) [ "\$2" = 1 ] && echo on >power || echo off >power ;;
		esac
		if [ "\$verb" = get ]; then shift; else shift \$((\$# < 2 ? \$# : 2)); fi
	done
	END
	chmod +x chassis
	cat >bmc.conf <<-END
	name "bmc"
	set_working_mc 0x20
	  startlan 1
	    addr 127.0.0.1 6230
	    priv_limit admin
	    allowed_auths_admin none md2 md5 straight
	    guid a123456789abcdefa123456789abcdef
	  endlan
	  chassis_control "$PWD/chassis 0x20"
	  user 1 true "" "test" user 10 none
	  user 2 true "admin" "secret" admin 10 none md2 md5 straight
	END
	printf 'mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02\nmc_enable 0x20\n' >bmc.emu
	echo good >bmc
	echo on >power
	mkdir -p bmc.state
	ipmi_sim -c bmc.conf -f bmc.emu -s bmc.state -n -p >bmc.log 2>&1 </dev/null &
	OTHERS+=($!)
	echo secret >bmc.password
	chmod 600 bmc.password
	printf '[machine %s]\npower = fence_ipmilan\npower.ip = 127.0.0.1\npower.ipport = 6230\npower.lanplus = 1\npower.cipher = 3\npower.username = admin\n' "$1" >>nodes.d/10-demo.ini
	printf 'power.password_file = %s/bmc.password\n' "$PWD" >>nodes.d/10-demo.ini
}

case_fence_ipmi() {
	local mac=52:54:00:00:00:01
	sed -i 's|^discovery.*|&\nfence = both\nshared = /home|' nodes.d/10-demo.ini
	ipmi_bmc $mac
	start_daemon --no-dhcp
	boot_again() { # the machine is on, and its node joined
		echo good >bmc
		echo on >power
		kill "$(cat agent-$mac)" 2>/dev/null || :
		node_up $mac
		await 10 is_joined
	}
	is_joined() { [ "$(node n01 state)" = joined ]; }
	held() {
		fence_says n01 '.phase == "work" and .steps.door and .steps.iscsi and .steps.nfs and (.steps.power | not)'
		[ "$(node n01 state)" = detached ]
		door_closed $mac
		if ssi node set n01 machine=52:54:00:00:00:02 2>errors; then fail "another machine got it"; fi
		grep -q 'its fence is not confirmed' errors
	}
	boot_again
	ssi node fence n01
	[ "$(cat power)" = off ]
	# It cannot be reached: held, until it can.
	boot_again
	nft -f - <<-END
	table inet cut {
		chain input { type filter hook input priority 0; udp dport 6230 drop; }
	}
	END
	if ssi node fence n01 2>errors; then fail "confirmed without its BMC"; fi
	held
	nft delete table inet cut
	await 90 fence_says n01 '.phase == "confirmed"'
	[ "$(cat power)" = off ]
	# It takes no command.
	boot_again
	echo dead >bmc
	if ssi node fence n01 2>errors; then fail "confirmed by a dead BMC"; fi
	held
	echo good >bmc
	await 90 fence_says n01 '.phase == "confirmed"'
	[ "$(cat power)" = off ]
	# It switches 20 s later: not confirmed before.
	boot_again
	echo slow >bmc
	ssi node fence n01 || :
	if [ "$(cat power)" = on ]; then held; fi
	await 90 fence_says n01 '.phase == "confirmed"'
	[ "$(cat power)" = off ]
	# It lies: the doors hold.
	boot_again
	kill "$(cat agent-$mac)"
	echo lie >bmc
	ssi node fence n01
	fence_says n01 '.phase == "confirmed" and ([.steps[]] | all)'
	[ "$(cat power)" = on ]
	door_closed $mac
}
