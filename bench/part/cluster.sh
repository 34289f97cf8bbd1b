# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Where nodes are machines of their own: what rexec and view do there (--on), and how they come to the master of a lab (--lab). Sourced by both, and by ccm-vms.sh.
#
# In a lab the programs that measure run on the master, in CLUSTER_DIR with what they need: a clock on this side would measure the way there.

CLUSTER_DIR=/opt/ssi-bench

# A program with its libraries as they are here: DIR/NAME runs it wherever the processor is of the same kind.
cluster_pack() { # PROGRAM DIR
	local name=${1##*/} dir=$2/${1##*/}.d
	mkdir -p "$dir"
	cp "$1" "$dir/"
	ldd "$1" | awk '$3 ~ /^\// { print $3 } $1 ~ /^\// { print $1 }' | xargs -I{} cp -L {} "$dir/"
	# shellcheck disable=SC2016       # for the shell over there
	printf '#!/bin/sh\ndir=${0%%/*}/%s.d\nexec "$dir"/ld-linux-*.so.* --library-path "$dir" "$dir/%s" "$@"\n' "$name" "$name" >"$2/$name"
	chmod 755 "$2/$name"
}

# --- on this side: a lab ---

# "PROGRAM --on" on the master of a lab of N nodes, which is started and ended.
cluster_lab() { # N PROGRAM OPTION...
	local n=$1 program=$2 range machines parts=$WORK/pack/build/bench/part
	shift 2
	# shellcheck source=bench/part/lab.sh
	. "$TOP/bench/part/lab.sh"
	trap 'lab_end; rm -rf "$WORK"' EXIT
	trap 'exit 130' INT TERM
	printf -v range 'n[01-%02d]' "$n"
	read -ra machines <<<"$(seq -f 'm%02.0f' -s ' ' "$n")"
	mkdir -p "$WORK/pack/bench/part" "$parts"
	cp "$TOP/bench/$program" "$WORK/pack/bench/"
	cp "$TOP/bench/part/"{measure,cluster,view-node}.sh "$WORK/pack/bench/part/"
	cluster_pack "$BUILD/bench/part/rexec-spawn" "$parts"
	cluster_pack "$BUILD/bench/part/ccm-ends" "$parts"
	cluster_small "$parts/small"
	lab up -n "$n" >&2 || die "no lab"
	lab power on "${machines[@]}" || die "the machines have no power"
	tar -C "$WORK/pack" -c . | "$SSI_LAB_SELF" exec master sh -c "mkdir -p $CLUSTER_DIR && tar -C $CLUSTER_DIR -x --no-same-owner" || die "the master does not get what measures"
	await 300 cluster_joined "$range" "$n" || die "not all of $range join"
	[ "$program" != rexec ] || cluster_ssh
	echo "lab: $n nodes, on $(machine_line)"
	master "$CLUSTER_DIR/bench/$program" --on "$range" "$@"
}

cluster_joined() { # RANGE N
	[ "$(master ssi exec --no-prefix "$1" -- echo here 2>/dev/null | grep -c '^here$')" = "$2" ]
}

cluster_small() { # FILE
	printf 'int main(void) { return 0; }\n' | cc -x c -O2 -static -o "$1" - || die "no static libc to compile with"
}

# pdsh for the master as it is installed here; sshd for the first node as the master has it, and a key.
cluster_ssh() {
	if command -v pdsh >/dev/null && command -v dpkg >/dev/null; then
		dpkg -L pdsh | sed -n 's,^/\(usr/\(bin\|lib\)/.*\),\1,p' | tar -C / -c --no-recursion -T - | "$SSI_LAB_SELF" exec master tar -x --no-same-owner -C /
	fi
	# shellcheck disable=SC2016       # for the shells over there
	"$SSI_LAB_SELF" exec master sh -e -s <<-'END' || die "n01 has no sshd"
		dir=/run/ssi-bench/sshd
		mkdir -p $dir && cd $dir
		cp /usr/sbin/sshd .
		ldd sshd | awk '$3 ~ /^\// { print $3 }' | xargs cp -Lt .
		[ -e /root/.ssh/id_ed25519 ] || ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
		cp /root/.ssh/id_ed25519.pub authorized
		ssh-keygen -q -t ed25519 -N '' -f key
		printf '%s\n' "HostKey $dir/key" "AuthorizedKeysFile $dir/authorized" 'PidFile none' 'StrictModes no' >conf
		printf '%s\n' 'Host 10.77.0.*' ' StrictHostKeyChecking no' ' UserKnownHostsFile /dev/null' ' LogLevel ERROR' >/root/.ssh/config
		tar -c . | ssi exec -i n01 -- sh -c "mkdir -p $dir /run/sshd && tar -C $dir -x"
		ssi exec n01 -- sh -c "grep -q ^sshd: /etc/passwd || echo sshd:x:105:65534::/run/sshd:/usr/sbin/nologin >>/etc/passwd
			LD_LIBRARY_PATH=$dir $dir/sshd -f $dir/conf"
	END
}

# --- on a master ---

# The names of nodes and their addresses, a line each.
cluster_nodes() { # RANGE
	ssi node list "$1" -o json | tr -d ' ",' | awk -F: '$1 == "name" { name = $2 } $1 == "address" { print name, $2 }'
}

cluster_sh() { # NODE SCRIPT
	ssi exec --no-prefix "$1" -- bash -c "$2" </dev/null
}
