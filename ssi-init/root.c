/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mounts the image. The kernel does NFS version 4 by mount(2) alone. The mount is hard: a master that restarts makes the node wait, and
 * go on; what bounds the first mount is the stage's deadline, which kills this process in the middle of the call.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>
#include "libssi/base/path.h"
#include "ssi-init/boot.h"
#include "ssi-init/disk.h"
#include "ssi-init/outcome.h"
#include "ssi-init/root.h"

/*
 * A generation never changes, so attributes and names are kept for a day (actimeo) and opens do not ask again (nocto). timeo is in tenths
 * of a second: 10 s without an answer make the client try again over a new connection; sec=sys saves asking which there are.
 */
int root_nfs_options(const struct ssi_bootargs *a, char *buf, size_t n)
{
	char server[INET_ADDRSTRLEN], client[INET_ADDRSTRLEN];
	int len;

	inet_ntop(AF_INET, &a->master, server, sizeof(server));
	inet_ntop(AF_INET, &a->address, client, sizeof(client));
	len = snprintf(buf, n, "vers=4.2,proto=tcp,sec=sys,hard,timeo=100,retrans=3,nocto,actimeo=86400,addr=%s,clientaddr=%s", server, client);
	return len > 0 && (size_t)len < n ? 0 : -ENOSPC;
}

static int root_mount_nfs(const struct ssi_bootargs *a, struct ssi_err *e)
{
	char server[INET_ADDRSTRLEN], source[sizeof(a->root) + INET_ADDRSTRLEN + 2], options[256];
	const char *path = a->root + strlen("nfs:");
	int r;

	inet_ntop(AF_INET, &a->master, server, sizeof(server));
	snprintf(source, sizeof(source), "%s:%s", server, path);
	r = root_nfs_options(a, options, sizeof(options));
	if (r < 0)
		return ssi_errno(e, r, "mount options of %s", source);
	outcome_note("mount %s", source);
	if (mount(source, BOOT_LOWER, "nfs4", MS_RDONLY | MS_NODEV, options) == 0 || errno == EBUSY)
		return 0;
	if (errno == ENODEV)
		return ssi_errf(e, -ENODEV, "mount %s: the kernel has no nfs4 (module nfsv4 missing)", source);
	if (errno == ENOENT)
		return ssi_errf(e, -ENOENT, "mount %s: the server does not export this path", source);
	return ssi_errno(e, -errno, "mount %s", source);
}

static int root_mount_disk(const struct ssi_bootargs *a, struct ssi_err *e)
{
	struct disk d;
	int r = disk_wait(a->root + strlen("disk:"), &d, e);

	if (r < 0)
		return r;
	outcome_note("mount %s", d.device);
	if (mount(d.device, BOOT_LOWER, d.type, MS_RDONLY | MS_NODEV, NULL) < 0 && errno != EBUSY)
		return ssi_errno(e, -errno, "mount %s (%s)", d.device, d.type);
	return 0;
}

/* The device that init-image has made, by the name it has in /proc/mounts then. */
static int root_mount_ram(struct ssi_err *e)
{
	char device[32];
	ssize_t n = readlink(BOOT_IMAGE, device, sizeof(device) - 1);

	if (n < 0)
		return ssi_errno(e, -errno, "%s", BOOT_IMAGE);
	device[n] = '\0';
	outcome_note("mount %s", device);
	if (mount(device, BOOT_LOWER, "erofs", MS_RDONLY | MS_NODEV, NULL) < 0 && errno != EBUSY)
		return ssi_errno(e, -errno, "mount %s (the image in memory)", device);
	return 0;
}

int root_mount(const struct ssi_bootargs *a, struct ssi_err *e)
{
	int r = ssi_path_mkdirs(BOOT_LOWER, 0755);

	if (r < 0)
		return ssi_errno(e, r, "mkdir %s", BOOT_LOWER);
	if (!strncmp(a->root, "ram:", 4))
		return root_mount_ram(e);
	return strncmp(a->root, "disk:", 5) ? root_mount_nfs(a, e) : root_mount_disk(a, e);
}
