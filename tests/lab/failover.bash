# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What tests of failover share: which machine plays which node, and a daemon that is to die. Loaded after lab.bash.

machine_of() { # NODE
	field "$1" machine
}

plays() { # NODE MAC
	[ "$(machine_of "$1")" = "$2" ] && in_state "$1" joined
}

machine_is() { # MAC STATE
	[ "$(ssi machine list -o json | jq -r --arg mac "$1" '.[] | select(.mac == $mac) | .state')" = "$2" ]
}

in_step() { # NODE STEP
	[ "$(ssi node list "$1" -o json | jq -r '.[0].failover.step // "none"')" = "$2" ]
}

# How the master switches a machine that is nobody's by nodes.d: by its BMC in the lab, as the others.
power_section() { # MAC PORT
	printf '[machine %s]\npower = fence_ipmilan\npower.ip = 10.0.2.2\npower.ipport = %s\npower.lanplus = 1\npower.cipher = 3\npower.username = %s\npower.password_file = /etc/ssi/bmc.password\n' \
		"$1" "$2" "$(master sed -n 's/^power.username = //p' /etc/ssi/nodes.d/10-lab.ini | head -n 1)"
}

# The daemon that runs now ends when it gets there, as by kill -9; the one that systemd starts after it does not.
daemon_ends_at() { # POINT
	local dropin=/run/systemd/system/ssi-bootsvc.service.d
	master sh -c "mkdir -p $dropin && printf '[Service]\nExecStart=\nExecStart=/usr/sbin/ssi-bootsvc start --foreground --crash-at $1\n' >$dropin/crash.conf &&
		systemctl daemon-reload && systemctl restart ssi-bootsvc"
	await 60 daemon_answers
	master sh -c "rm $dropin/crash.conf && systemctl daemon-reload"
}

ended_at() { # POINT
	master sh -c "journalctl -q -u ssi-bootsvc | grep -q 'ends at $1'"
}
