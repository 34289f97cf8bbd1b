/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The dnsmasq child: DHCP, and TFTP for the iPXE binaries. A node is a file in RUN/dnsmasq.hosts and a SIGHUP, never a restart; a change of a
 * system (interface, network, pool, mode) is one. Dies with the daemon; when it dies alone it comes back, with backoff.
 */
#include "bootsvc/daemon.h"

struct dnsmasq;
/* Writes configuration and host files and starts the child. Without a system there is no child. All but _start take NULL. */
int dnsmasq_start(struct daemon *d, struct dnsmasq **ret, struct ssi_err *e);
void dnsmasq_free(struct dnsmasq *q);
/* The machine's binding, or what its node is, has changed: its file follows. */
void dnsmasq_machine_changed(struct dnsmasq *q, const char *mac);
/* The registry has changed: restarts the child only where its configuration differs. Machines are not looked at. */
void dnsmasq_registry_changed(struct dnsmasq *q);
