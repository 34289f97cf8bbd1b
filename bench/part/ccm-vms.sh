# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The two ends of bench/ccm on two virtual machines of a lab: it measures on the master and serves on node n01. Sourced by ccm with --vms.
#
# Both get the program and its libraries as they are here.

SCRIPTS=$TOP/scripts
export SSI_LAB=bench-ccm-$$
VMS_NODE=10.77.0.11
VMS_DIR=/run/ccm-ends
# shellcheck source=bench/part/cluster.sh
. "$TOP/bench/part/cluster.sh"

lab() {
	"$SCRIPTS/ssi-lab" "$@"
}

vms_joined() {
	[ "$(lab exec master ssi node list n01 -o json </dev/null | jq -r '.[0].state')" = joined ]
}

vms_start() {
	trap 'vms_end; rm -rf "$WORK"' EXIT
	lab up -n 1 </dev/null || die "no lab"
	cluster_pack "$ENDS" "$WORK/ends"
	tar -C "$WORK/ends" -czf "$WORK/ends.tar.gz" .
	lab exec master sh -c "mkdir -p $VMS_DIR && tar -C $VMS_DIR -xzf -" <"$WORK/ends.tar.gz" || die "the master does not get the program"
	lab power on m01 </dev/null || die "the machine has no power"
	await 180 vms_joined || die "the node does not join"
	lab exec master ssi exec -i n01 -- sh -c "mkdir -p $VMS_DIR && tar -C $VMS_DIR -xzf -" <"$WORK/ends.tar.gz" || die "the node does not get the program"
	lab exec n01 "$VMS_DIR/${ENDS##*/}" serve --address 0.0.0.0 --port "$PORT" </dev/null >"$WORK/serve.log" 2>&1 &
	await 60 grep -q '^ready' "$WORK/serve.log" || die "the serving end does not start: $(tail -n 3 "$WORK/serve.log")"
	# shellcheck disable=SC2034       # bench/part/ccm.sh reads both
	PEER=$VMS_NODE
	# shellcheck disable=SC2034
	ENDS_RUN=(lab exec master "$VMS_DIR/${ENDS##*/}")
}

vms_end() {
	lab down </dev/null 2>/dev/null
}
