# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The body of conformance.bats: runs in a network namespace of its own, with bootsvc.bash loaded and "set -e" on.

# shellcheck source=tests/bats/agents.bash
. "$(dirname "${BASH_SOURCE[0]}")/agents.bash"
# shellcheck source=tests/conformance/run.bash
. "$(dirname "${BASH_SOURCE[0]}")/../conformance/run.bash"

# A Python that nodes have not, with some of its library.
python_alone() {
	local version
	version=$(/usr/bin/python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
	mount -t tmpfs tmpfs /opt
	mkdir -p /opt/here/bin "/opt/here/lib/$version"
	cp "/usr/bin/$version" /opt/here/bin
	cp -r "/usr/lib/$version"/{*.py,collections,encodings,importlib} "/opt/here/lib/$version"
	export PYTHON_ALONE=/opt/here/bin/$version
}

case_table() { # NAME [ONLY]
	# The node gets this mount with all others: it shares it.
	mount -t tmpfs -o mode=755 tmpfs /srv
	mkdir -p /srv/work /srv/here home
	sed -i '/^discovery/a shared = /srv/work' nodes.d/10-demo.ini
	export HOME=$PWD/home LC_ALL=C TERM=vt100
	unset "${!BATS_@}" "${!LESS@}"
	agents_up 1
	mount -t tmpfs tmpfs /srv/here           # where nodes have nothing
	export ALONE=/srv/here
	[ "$1" != differs ] || python_alone
	conformance_tools n01
	conformance_run "$CONFORMANCE/$1.cases" /srv/work "${2:-}"
}
