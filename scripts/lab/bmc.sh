# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Power. Each machine has a BMC, an ipmi_sim that speaks real IPMI 2.0; its chassis is that machine's QEMU. Sourced by ssi-lab.
#
# The master reaches the BMCs at 10.0.2.2 (its user-mode network turns that into the namespace's loopback). ipmi_sim offers cipher suite 3 only.

BMC_USER='admin'
BMC_PASSWORD=lab

bmc_port() { # MACHINE
	echo $((6230 + 10#${1#m}))
}

# Write what ipmi_sim needs for a machine.
bmc_make() { # MACHINE
	local dir=$LAB/$1
	write_file "$dir/bmc.conf" "name \"$1\"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 $(bmc_port "$1")
    priv_limit admin
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid $(printf '%032x' "$(bmc_port "$1")")
  endlan
  chassis_control \"$SSI_LAB_SELF --name $LAB_NAME chassis $1\"
  user 1 true \"\" \"test\" user 10 none
  user 2 true \"$BMC_USER\" \"$BMC_PASSWORD\" admin 10 none md2 md5 straight"
	write_file "$dir/bmc.emu" "mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02
mc_enable 0x20"
}

# Keep one BMC running. Runs inside the namespace, as a child of the supervisor.
bmc_supervise() { # DIRECTORY
	mkdir -p "$1/bmc.state"
	while :; do
		ipmi_sim -c "$1/bmc.conf" -f "$1/bmc.emu" -s "$1/bmc.state" -n -p
		sleep 1
	done
}

# How a BMC behaves: as it should, or as they do. slow: what it is told to switch, it switches 20 s later; dead: it takes no command; lie: it does not switch the
# power off, and says that it is off.
bmc_how() { # MACHINE
	cat "$LAB/$1/bmc.how" 2>/dev/null || echo good
}

bmc_get_power() { # MACHINE
	if [ -e "$LAB/$1/bmc.lied" ] || ! machine_alive "$1"; then echo "power:0"; else echo "power:1"; fi
}

bmc_set_power() { # MACHINE 0|1
	rm -f "$LAB/$1/bmc.lied"
	case $(bmc_how "$1")-$2 in
	lie-0) : >"$LAB/$1/bmc.lied" ;;
	slow-0) (sleep 20; machine_kill "$1") </dev/null >/dev/null 2>&1 & ;;
	slow-1) (sleep 20; machine_start "$1") </dev/null >/dev/null 2>&1 & ;;
	*-1) machine_start "$1" ;;
	*) machine_kill "$1" ;;
	esac
}

# What ipmi_sim calls: "chassis MACHINE get power", "chassis MACHINE set power 0|1".
bmc_chassis() { # MACHINE get|set NAME [VALUE]...
	local machine=$1 verb=$2
	shift 2
	while [ "$(bmc_how "$machine")" = dead ]; do sleep 0.2; done
	while [ $# -gt 0 ]; do
		case "$verb $1" in
		"get power") bmc_get_power "$machine" ;;
		"set power") bmc_set_power "$machine" "$2" ;;
		"set reset") machine_qmp "$machine" '{"execute":"system_reset"}' ;;
		"set shutdown") machine_qmp "$machine" '{"execute":"system_powerdown"}' ;;
		"get "*) echo "$1:default" ;;
		esac
		if [ "$verb" = get ]; then shift; else shift $(($# < 2 ? $# : 2)); fi
	done
}

bmc_power() { # MACHINE on|off|status
	space_run ipmitool -I lanplus -C 3 -H 127.0.0.1 -p "$(bmc_port "$1")" -U "$BMC_USER" -P "$BMC_PASSWORD" -R 3 chassis power "$2"
}
