/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * One running ssi-bootsvc: what its parts share, and how they reach one another. Each part is a file with a …_start (or _new) and a …_free, called
 * in daemon.c in this order and its reverse. Everything happens in one loop; a part never waits for another.
 */
#include <systemd/sd-event.h>
#include "bootsvc/options.h"
#include "bootsvc/state.h"
#include "libssi/base/err.h"
#include "libssi/comm/ccm.h"
#include "libssi/comm/control-server.h"
#include "libssi/model/registry.h"
#include "ssi/boot/master.h"
#include "ssi/membership/head.h"
#include "ssi/procspace/procs-head.h"
#include "ssi/rexec/head.h"
#include "bootsvc/power.h"

struct daemon {
	const struct bootsvc_options *opt;
	uint64_t started;                        /* wall clock, ms */
	sd_event *event;
	struct state *state;
	struct ssi_registry *registry;
	struct events *events;
	struct images *images;
	struct exports *exports;
	struct targets *targets;
	struct volumes *volumes;
	struct dnsmasq *dnsmasq;                 /* NULL with --no-dhcp */
	struct ra *ra;                           /* NULL with --no-dhcp */
	struct discovery *discovery;
	struct failover *failover;
	struct patience *patience;
	struct http *http;
	struct ssi_ccm *ccm;
	struct ssi_boot_master boot;
	struct ssi_head *head;
	struct ssi_rexec *rexec;
	struct ssi_load_head *loads;
	struct policies *policies;
	struct placements *placements;           /* placement.c: what was placed where */
	struct viewfiles *viewfiles;             /* NULL while the daemon starts and stops */
	struct jobs *jobs;
	struct ssi_procs *procs;
	struct ssi_power *power;
	struct doors *doors;
	struct fence *fence;                     /* NULL while the daemon starts and stops */
	struct ssi_control_server *control, *users;   /* for administrators, and for everyone */
};

/* Run until SIGTERM, SIGINT or the verb stop. *ready (may be -1) gets a byte once the daemon serves, and is closed then; else it stays the
 * caller's, who closes it when he has said why there is no daemon: its end is the sign for who waits to read that. */
int daemon_run(const struct bootsvc_options *o, int *ready, struct ssi_err *e);

/* The system whose network the peer is in, else the one that has this address of the master as its own (a peer behind a router); NULL if none. */
const struct ssi_system *daemon_system_at(const struct daemon *d, struct in_addr master, struct in_addr peer);
