# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# People of the master with a /home that the nodes share, and the nodes up. Loaded by the files whose tests run programs as somebody; the first one makes it.

ALL='n[01-03]'

# A command line of ann's on the master, in her home.
ann() { # SCRIPT
	master runuser -l ann -c "$1"
}

people_up() {
	master sh -c 'id -u ann >/dev/null 2>&1 ||
		{ mkdir -p /run/ssi/root/rw/home && mount --bind /run/ssi/root/rw/home /home && useradd -u 2001 -m ann && useradd -u 2002 -m bob; }'
	master sh -c "printf '[system lab]\nshared = /home\n' >/etc/ssi/nodes.d/80-space.ini && ssi-bootsvc reload"
	lab power on m01 m02 m03
	await 300 in_state "$ALL" joined
	await 60 answer "$ALL"
}
