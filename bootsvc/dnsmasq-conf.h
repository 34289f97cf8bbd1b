/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What dnsmasq is told. Pure: a registry in, text out. */
#include "libssi/base/buf.h"
#include "libssi/model/registry.h"

struct dnsmasq_paths {
	const char *hosts, *leases;      /* dhcp-hostsdir; the lease file */
	const char *tftp;                /* where the iPXE binaries are, and nothing else */
	uint16_t http_port;
};
/* The whole configuration: one dnsmasq for all systems, told apart by interface. 0 or -ENOMEM. */
int dnsmasq_conf(const struct ssi_registry *reg, const struct dnsmasq_paths *p, struct ssi_buf *ret);
/* The file of one bound machine in dhcp-hostsdir. */
int dnsmasq_host(const struct ssi_node *n, const char *mac, struct ssi_buf *ret);
