/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Settings of the kernel and of dnsmasq that slow boots down: neighbours, NFS threads, TFTP transfers against the number of nodes, and IPv6. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bootsvc/check.h"
#include "libssi/base/file.h"
#include "libssi/base/num.h"
#include "libssi/base/path.h"

#define NFSD_NODES_PER_THREAD 16     /* a thread serves so many nodes that boot without a queue worth speaking of */
#define NFSD_MIN 8
#define NFSD_ENOUGH 256              /* past this more threads help no more */
#define NFSD_PIECE (1 << 20)         /* the most that it can; a host with 4 GiB of memory does by itself */
#define TFTP_DEFAULT 50              /* dnsmasq's own tftp-max */
#define TFTP_ENOUGH 500              /* it serves one small file: a transfer is over before more than this many have begun */

/* A number in a file below /proc; -errno. */
static int64_t proc_number(const struct check_context *c, const char *name)
{
	_cleanup_free_ char *path = ssi_path_join(c->proc, name);
	char line[64];
	uint64_t v;
	int r = path ? ssi_file_read_line(path, line, sizeof(line)) : -ENOMEM;

	if (r >= 0)
		r = ssi_num_u64(line, 0, INT64_MAX, &v);
	return r < 0 ? r : (int64_t)v;
}

void check_arp(const struct check_context *c, struct check_report *r)
{
	size_t nodes = c->registry ? c->registry->n_nodes : 0, want = nodes + nodes / 4 + 64;
	int64_t max = proc_number(c, "sys/net/ipv4/neigh/default/gc_thresh3");
	char advice[160];

	if (!c->registry || max < 0) {
		check_unknown(r, c->registry ? "the kernel does not tell its limit of neighbours (gc_thresh3)" : "nodes.d has mistakes");
		return;
	}
	snprintf(advice, sizeof(advice), "write 'net.ipv4.neigh.default.gc_thresh3 = %zu' (and gc_thresh2 = %zu) to /etc/sysctl.d/ssi.conf, run 'sysctl --system'",
		 2 * want, want);
	if ((size_t)max < want)
		check_problem(r, advice, "the kernel keeps %lld neighbours at most, too few for %zu nodes: connections will stall", (long long)max, nodes);
	else
		check_note(r, "room for %lld neighbours", (long long)max);
}

void check_nfsd(const struct check_context *c, struct check_report *r)
{
	int64_t threads = proc_number(c, "fs/nfsd/threads"), piece = proc_number(c, "fs/nfsd/max_block_size");
	size_t nodes = c->registry ? c->registry->n_nodes : 0, want = nodes / NFSD_NODES_PER_THREAD;
	char advice[160];

	if (!check_uses(c, "nfs")) {
		check_note(r, "no node has its root over NFS");
		return;
	}
	want = want < NFSD_MIN ? NFSD_MIN : want > NFSD_ENOUGH ? NFSD_ENOUGH : want;
	snprintf(advice, sizeof(advice), "write 'threads = %zu' below [nfsd] in /etc/nfs.conf, then run 'systemctl restart nfs-server'", want);
	if (threads == -ENOENT)
		check_problem(r, "run 'systemctl enable --now nfs-server' (package nfs-kernel-server)", "the kernel's NFS server does not run");
	else if (threads < 0)
		check_unknown(r, "the number of NFS server threads cannot be read: run as root");
	else if (threads == 0)
		check_problem(r, "run 'systemctl enable --now nfs-server'", "the kernel's NFS server runs no thread");
	else if ((size_t)threads < want)
		check_problem(r, advice, "%lld NFS server threads are too few for %zu nodes", (long long)threads, nodes);
	else if (piece > 0 && piece < NFSD_PIECE)
		check_note(r, "%lld threads; reads go in pieces of %lld KiB, because this host has little memory: nodes read half as fast again if "
			   "'echo %d >/proc/fs/nfsd/max_block_size' comes before the start of nfs-server (a drop-in's ExecStartPre)", (long long)threads, (long long)piece / 1024, NFSD_PIECE);
	else
		check_note(r, "%lld threads", (long long)threads);
}

/* The last tftp-max of a dnsmasq configuration, or -1. */
static int64_t tftp_max(const char *text)
{
	int64_t max = -1;

	for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		unsigned v;

		if (sscanf(line, "tftp-max = %u", &v) == 1 || sscanf(line, "tftp-max=%u", &v) == 1)
			max = v;
	}
	return max;
}

void check_tftp(const struct check_context *c, struct check_report *r)
{
	_cleanup_free_ char *path = ssi_path_join(c->options->run, "dnsmasq.conf"), *text = NULL;
	size_t nodes = c->registry ? c->registry->n_nodes : 0, want = nodes > TFTP_ENOUGH ? TFTP_ENOUGH : nodes;
	int64_t max;

	if (!path || ssi_file_read(path, 1 << 20, &text, NULL) < 0) {
		check_unknown(r, "%s is not there yet: the daemon writes it when it starts", path ? path : "dnsmasq.conf");
		return;
	}
	max = tftp_max(text);
	if (max < 0)
		max = TFTP_DEFAULT;
	if ((size_t)max < want)
		check_problem(r, "stop and start ssi-bootsvc: it writes tftp-max when it starts, and dnsmasq reads it only then",
			      "dnsmasq serves %lld TFTP transfers at once, fewer than the %zu nodes: machines that power on together will wait for one another",
			      (long long)max, nodes);
	else
		check_note(r, "%lld transfers at once", (long long)max);
}

/* iPXE asks for an IPv6 router once it has its IPv4 address; the daemon answers that there is none, which takes IPv6 on the interface. */
void check_ipv6(const struct check_context *c, struct check_report *r)
{
	if (!c->registry) {
		check_unknown(r, "nodes.d has mistakes");
		return;
	}
	for (size_t i = 0; i < c->registry->n_systems; i++) {
		const char *interface = c->registry->systems[i]->interface;
		char name[80], advice[160];

		snprintf(name, sizeof(name), "sys/net/ipv6/conf/%s/disable_ipv6", interface);
		snprintf(advice, sizeof(advice), "run 'sysctl net.ipv6.conf.%s.disable_ipv6=0' (and take ipv6.disable off the kernel's command line); no IPv6 address is needed",
			 interface);
		if (proc_number(c, name) != 0)
			check_problem(r, advice, "%s has no IPv6: each boot waits 13 s longer, for a router that nobody says is not there", interface);
	}
}
