/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ports that ssi-bootsvc, its dnsmasq and the NFS server need, and who else holds them: /proc/net for the sockets, /proc/PID/fd
 * for their owners. A socket bound to a device looks like one bound to none there, so a second dnsmasq on another interface is named too.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bootsvc/check.h"
#include "libssi/base/file.h"
#include "libssi/base/path.h"

#define PROC_NET_MAX (64u << 20)
#define HOLDERS_MAX 64

struct wanted { bool tcp; uint16_t port; const char *why; };

struct holder {
	bool tcp;
	uint16_t port;
	struct in_addr address;          /* IPv6: any, unless it is a certain address, which nobody boots from */
	uint64_t inode;
	pid_t pid;                       /* 0: not found */
	char name[32];
};

/* A line of /proc/net/{tcp,udp}{,6}; false for a socket that is in nobody's way. */
static bool line_read(const char *line, bool tcp, bool v6, struct holder *ret)
{
	char local[40];
	unsigned port, state;
	unsigned long long inode;
	uint32_t v4 = 0;

	if (sscanf(line, " %*u: %32[0-9A-Fa-f]:%4x %*[0-9A-Fa-f]:%*x %2x %*x:%*x %*x:%*x %*x %*u %*u %llu", local, &port, &state, &inode) != 4)
		return false;
	if (tcp && state != 10)          /* TCP_LISTEN */
		return false;
	if (v6 ? strspn(local, "0") != strlen(local) : sscanf(local, "%8x", &v4) != 1)
		return false;
	*ret = (struct holder){ .tcp = tcp, .port = (uint16_t)port, .address.s_addr = v4, .inode = inode };
	return true;
}

static bool is_wanted(const struct wanted *w, size_t n, const struct holder *h)
{
	for (size_t i = 0; i < n; i++)
		if (w[i].tcp == h->tcp && w[i].port == h->port)
			return true;
	return false;
}

/* Would it keep us from binding: bound to any address, or to one of ours. */
static bool in_the_way(const struct check_context *c, const struct holder *h)
{
	if (!h->address.s_addr || !c->registry)
		return true;
	for (size_t i = 0; i < c->registry->n_systems; i++)
		if (c->registry->systems[i]->master.s_addr == h->address.s_addr)
			return true;
	return false;
}

static size_t sockets_read(const struct check_context *c, const struct wanted *w, size_t n_wanted, struct holder *ret)
{
	static const struct { const char *file; bool tcp, v6; } tables[] = {
		{ "net/udp", false, false }, { "net/udp6", false, true }, { "net/tcp", true, false }, { "net/tcp6", true, true },
	};
	size_t n = 0;

	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
		_cleanup_free_ char *path = ssi_path_join(c->proc, tables[i].file), *text = NULL;
		char *save = NULL;

		if (!path || ssi_file_read(path, PROC_NET_MAX, &text, NULL) < 0)
			continue;
		for (char *line = strtok_r(text, "\n", &save); line && n < HOLDERS_MAX; line = strtok_r(NULL, "\n", &save))
			if (line_read(line, tables[i].tcp, tables[i].v6, &ret[n]) && is_wanted(w, n_wanted, &ret[n]) && in_the_way(c, &ret[n]))
				n++;
	}
	return n;
}

/* Look through the descriptors of a process for the sockets. */
static void owner_look(const struct check_context *c, pid_t pid, struct holder *h, size_t n)
{
	char path[300], name[64];
	_cleanup_closedir_ DIR *d = NULL;
	const struct dirent *de;

	snprintf(path, sizeof(path), "%s/%d/fd", c->proc, (int)pid);
	d = opendir(path);
	while (d && (de = readdir(d))) {
		char link[64];
		unsigned long long inode;
		ssize_t len = readlinkat(dirfd(d), de->d_name, link, sizeof(link) - 1);

		if (len <= 0)
			continue;
		link[len] = '\0';
		if (sscanf(link, "socket:[%llu]", &inode) != 1)
			continue;
		for (size_t i = 0; i < n; i++) {
			if (h[i].inode != inode)
				continue;
			snprintf(path, sizeof(path), "%s/%d/comm", c->proc, (int)pid);
			h[i].pid = pid;
			if (ssi_file_read_line(path, name, sizeof(name)) >= 0)
				snprintf(h[i].name, sizeof(h[i].name), "%.31s", name);
		}
	}
}

static void owners_find(const struct check_context *c, struct holder *h, size_t n)
{
	_cleanup_closedir_ DIR *d = n ? opendir(c->proc) : NULL;
	const struct dirent *de;

	while (d && (de = readdir(d)))
		if (isdigit((unsigned char)de->d_name[0]))
			owner_look(c, (pid_t)atoi(de->d_name), h, n);
}

static pid_t parent(const struct check_context *c, pid_t pid)
{
	_cleanup_free_ char *text = NULL;
	char path[300];
	const char *p;
	int ppid;

	snprintf(path, sizeof(path), "%s/%d/stat", c->proc, (int)pid);
	if (ssi_file_read(path, 65536, &text, NULL) < 0)
		return 0;
	p = strrchr(text, ')');
	return p && sscanf(p + 1, " %*c %d", &ppid) == 1 ? ppid : 0;
}

/* The running daemon, its dnsmasq, or the kernel's NFS server, whose sockets no process holds. */
static bool is_ours(const struct check_context *c, const struct holder *h)
{
	if (h->port == 2049 && !h->pid) {
		_cleanup_free_ char *nfsd = ssi_path_join(c->proc, "fs/nfsd");

		return nfsd && access(nfsd, F_OK) == 0;
	}
	return c->daemon && h->pid && (h->pid == c->daemon || parent(c, h->pid) == c->daemon);
}

static bool proxy_wanted(const struct check_context *c)
{
	for (size_t i = 0; c->registry && i < c->registry->n_systems; i++)
		if (c->registry->systems[i]->dhcp == SSI_DHCP_PROXY)
			return true;
	return false;
}

static void report(const struct check_context *c, const struct wanted *w, const struct holder *h, struct check_report *r)
{
	char who[64], advice[200];

	if (h->pid)
		snprintf(who, sizeof(who), "%s (process %d)", h->name, (int)h->pid);
	else
		snprintf(who, sizeof(who), "a process that cannot be seen from here");
	if (!h->pid)
		snprintf(advice, sizeof(advice), "run this as root to see which it is");
	else if (c->daemon || strcmp(h->name, "ssi-bootsvc") != 0)
		snprintf(advice, sizeof(advice), "stop it, or make it listen on an address that is not the master's ('systemctl status %d' says which unit it is)", (int)h->pid);
	else
		snprintf(advice, sizeof(advice), "an ssi-bootsvc runs that does not answer at its control socket: end process %d", (int)h->pid);
	check_problem(r, advice, "%s port %u (%s) is held by %s", h->tcp ? "TCP" : "UDP", h->port, w->why, who);
}

void check_ports(const struct check_context *c, struct check_report *r)
{
	const struct wanted wanted[] = {
		{ false, 67, "DHCP" }, { false, 69, "TFTP" }, { true, c->options->ccm_port, "nodes" }, { true, c->options->http_port, "boot scripts" },
		{ true, 2049, "NFS" }, { false, 4011, "proxy DHCP" },
	};
	size_t n_wanted = sizeof(wanted) / sizeof(*wanted) - !proxy_wanted(c), n;
	struct holder holders[HOLDERS_MAX];

	n = sockets_read(c, wanted, n_wanted, holders);
	owners_find(c, holders, n);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n_wanted; k++)
			if (wanted[k].tcp == holders[i].tcp && wanted[k].port == holders[i].port && !is_ours(c, &holders[i]))
				report(c, &wanted[k], &holders[i], r);
	if (!r->problem)
		check_note(r, c->daemon ? "all are free or ours" : "all are free");
}
