/* SPDX-License-Identifier: GPL-2.0-or-later */
/* timeo is in tenths of a second: 10 s without an answer make the client try again over a new connection; sec=sys saves asking which there are. */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mount.h>
#include "ssi-init/nfs.h"
#include "ssi-init/outcome.h"

int nfs_options(const struct ssi_bootargs *a, const char *how, char *buf, size_t n)
{
	char server[INET_ADDRSTRLEN], client[INET_ADDRSTRLEN];
	int len;

	inet_ntop(AF_INET, &a->master, server, sizeof(server));
	inet_ntop(AF_INET, &a->address, client, sizeof(client));
	len = snprintf(buf, n, "vers=4.2,proto=tcp,sec=sys,hard,timeo=100,retrans=3,%s,addr=%s,clientaddr=%s", how, server, client);
	return len > 0 && (size_t)len < n ? 0 : -ENOSPC;
}

int nfs_mount(const struct ssi_bootargs *a, const char *path, const char *where, unsigned long flags, const char *how, struct ssi_err *e)
{
	char server[INET_ADDRSTRLEN], source[PATH_MAX], options[320];
	int r = nfs_options(a, how, options, sizeof(options));

	inet_ntop(AF_INET, &a->master, server, sizeof(server));
	snprintf(source, sizeof(source), "%s:%s", server, path);
	if (r < 0)
		return ssi_errno(e, r, "mount options of %s", source);
	outcome_note("mount %s", source);
	if (mount(source, where, "nfs4", flags | MS_NODEV, options) == 0)
		return 0;
	if (errno == ENODEV)
		return ssi_errf(e, -ENODEV, "mount %s: the kernel has no nfs4 (module nfsv4 missing)", source);
	if (errno == ENOENT)
		return ssi_errf(e, -ENOENT, "mount %s: the server does not export this path", source);
	return ssi_errno(e, -errno, "mount %s", source);
}
