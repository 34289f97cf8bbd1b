# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A machine of the lab: one QEMU, its console and its monitor. Sourced by ssi-lab.
#
# A machine is a directory: its settings (mac, firmware, nic, memory, cpus), console.log, console.sock, qmp.sock, qemu.pid. The master is a
# machine too, with disks.

# Of every machine's kernel. norandmaps: where a library lies at another address in each process, QEMU translates it for each anew. That is slow, and what it has translated
# piles up on the library's pages, until the kernel takes minutes to clear one of them for something else.
# shellcheck disable=SC2034 # for master.sh
KERNEL_ARGS='console=ttyS0 mitigations=off norandmaps'

# KVM only where the processor really has it: a paravirtual /dev/kvm may exist and hang every guest.
machine_accel() {
	if [ -n "${SSI_LAB_ACCEL:-}" ]; then
		echo "$SSI_LAB_ACCEL"
	elif grep -qwE 'vmx|svm' /proc/cpuinfo && [ -w /dev/kvm ] &&
		echo quit | timeout 5 qemu-system-x86_64 -accel kvm -machine q35 -display none -monitor stdio -S >/dev/null 2>&1; then
		echo kvm
	else
		echo tcg,thread=multi
	fi
}

machine_setting() { # MACHINE KEY
	cat "$LAB/$1/$2"
}

machine_make() { # MACHINE MAC FIRMWARE NIC MEMORY CPUS
	local dir=$LAB/$1
	mkdir -p "$dir"
	write_file "$dir/mac" "$2"
	write_file "$dir/firmware" "$3"
	write_file "$dir/nic" "$4"
	write_file "$dir/memory" "$5"
	write_file "$dir/cpus" "$6"
	[ "$3" = bios ] || cp "$(machine_ovmf VARS)" "$dir/vars.fd"
}

machine_ovmf() { # CODE|VARS
	echo "/usr/share/OVMF/OVMF_${1}_4M.fd"
}

machine_alive() { # MACHINE
	[ -s "$LAB/$1/qemu.pid" ] && space_run kill -0 "$(<"$LAB/$1/qemu.pid")" 2>/dev/null
}

# Switch a machine on. Nothing if it is on.
machine_start() { # MACHINE
	local dir=$LAB/$1
	local -a args
	local lan
	! machine_alive "$1" || return 0
	lan=$(lan_netdev "$1" lan) || exit
	args=(-name "$1" -machine "q35,graphics=off" -accel "$(<"$LAB/accel")" -cpu max
		-nodefaults -display none
		-chardev "socket,id=console,path=$dir/console.sock,server=on,wait=off,logfile=$dir/console.log,logappend=on" -serial chardev:console
		-qmp "unix:$dir/qmp.sock,server=on,wait=off" -pidfile "$dir/qemu.pid" -daemonize)
	if [ "$1" = master ]; then
		args+=(-m "$(<"$dir/memory")" -smp "$(<"$dir/cpus")")
		mapfile -t -O "${#args[@]}" args < <(master_args "$lan")
	else
		mapfile -t -O "${#args[@]}" args < <(device_args "$1")
		# Firmware that got no answer (a busy host loses packets) begins again, as a server's does, and does not halt.
		args+=(-boot reboot-timeout=2000
			-netdev "$lan" -device "$(<"$dir/nic"),netdev=lan,mac=$(<"$dir/mac"),bootindex=1")
		[ "$(<"$dir/firmware")" = bios ] || args+=(
			-drive "if=pflash,format=raw,unit=0,readonly=on,file=$(machine_ovmf CODE)"
			-drive "if=pflash,format=raw,unit=1,file=$dir/vars.fd")
	fi
	rm -f "$dir/qemu.pid"
	space_run qemu-system-x86_64 "${args[@]}" >>"$dir/qemu.log" 2>&1 </dev/null || die "$1 does not start: $(tail -n 1 "$dir/qemu.log")"
}

# As if the cord were pulled.
machine_kill() { # MACHINE
	machine_alive "$1" || return 0
	space_run kill -KILL "$(<"$LAB/$1/qemu.pid")"
	wait_until 10 eval "! machine_alive $1" || die "$1 does not end"
	rm -f "$LAB/$1/qemu.pid"
}

# One command to QEMU's monitor; its answer on standard output.
machine_qmp() { # MACHINE JSON
	local answer
	machine_alive "$1" || die "$1 is off"
	# Between the answers QEMU tells what happens; the last answer is ours.
	answer=$(printf '%s\n' '{"execute":"qmp_capabilities"}' "$2" | socat -t 2 - "UNIX-CONNECT:$LAB/$1/qmp.sock" | grep -E '^\{"(return|error)"' | tail -n 1)
	case $answer in
	*'"error"'*) die "$1: $answer" ;;
	esac
	printf '%s\n' "$answer"
}

machine_state() { # MACHINE
	local answer
	machine_alive "$1" || { echo off; return; }
	answer=$(printf '%s\n' '{"execute":"qmp_capabilities"}' '{"execute":"query-status"}' |
		socat -t 1 - "UNIX-CONNECT:$LAB/$1/qmp.sock" 2>/dev/null | jq -r 'select(.return.status) | .return.status')
	case $answer in
	paused) echo frozen ;;
	*) echo on ;;
	esac
}
