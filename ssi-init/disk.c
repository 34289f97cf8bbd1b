/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Waits for a disk by uevents, and knows the superblocks of the file systems that ssi-mkimage and a state volume use. Called by root.c and overlay.c,
 * in stages' children. What it does not do well: labels are of file systems, not of partitions.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/fd.h"
#include "ssi-init/disk.h"
#include "ssi-init/outcome.h"

#define APPEAR_MS 10000

/* erofs: fs/erofs/erofs_fs.h; ext4: Documentation/filesystems/ext4/super.rst; XFS: fs/xfs/libxfs/xfs_format.h. The first two begin 1024 bytes in. */
static const struct { const char *type; size_t magic_at; uint8_t magic[4]; size_t magic_len, label_at, label_len, uuid_at; } kinds[] = {
	{ "xfs", 0, { 'X', 'F', 'S', 'B' }, 4, 108, 12, 32 },
	{ "erofs", 1024, { 0xe2, 0xe1, 0xf5, 0xe0 }, 4, 1024 + 64, 16, 1024 + 48 },
	{ "ext4", 1024 + 0x38, { 0x53, 0xef }, 2, 1024 + 0x78, 16, 1024 + 0x68 },
};

static void disk_uuid(const uint8_t u[16], char ret[37])
{
	snprintf(ret, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7],
		 u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
}

int disk_identify(const uint8_t p[DISK_PROBE], struct disk *ret)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (memcmp(p + kinds[i].magic_at, kinds[i].magic, kinds[i].magic_len) != 0)
			continue;
		ret->type = kinds[i].type;
		memcpy(ret->label, p + kinds[i].label_at, kinds[i].label_len);
		ret->label[kinds[i].label_len] = '\0';
		disk_uuid(p + kinds[i].uuid_at, ret->uuid);
		return 0;
	}
	return -EMEDIUMTYPE;
}

static int disk_probe(const char *device, struct disk *ret)
{
	_cleanup_close_ int fd = open(device, O_RDONLY | O_CLOEXEC);
	uint8_t p[DISK_PROBE] = { 0 };
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = ssi_fd_read_full(fd, p, sizeof(p));
	if (n < 0)
		return (int)n;
	snprintf(ret->device, sizeof(ret->device), "%s", device);
	return disk_identify(p, ret);
}

/* SERIAL=x: what the device says of itself (SPC, vital product data page 0x80; four bytes of head). */
static bool disk_has_serial(const char *name, const char *serial)
{
	char path[320], page[256];
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/class/block/%s/device/vpd_pg80", name);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	n = fd < 0 ? -1 : ssi_fd_read_full(fd, page, sizeof(page) - 1);
	if (n <= 4)
		return false;
	page[n] = '\0';
	return strcmp(page + 4, serial) == 0;
}

/* Is it what spec asks for, LABEL= or UUID=? */
static bool disk_is(const struct disk *disk, const char *spec)
{
	return strncmp(spec, "UUID=", 5) ? !strcmp(disk->label, spec + 6) : !strcasecmp(disk->uuid, spec + 5);
}

/* One look at all block devices: 0 and *ret, -ENODEV with their names in seen, -EMEDIUMTYPE. */
static int disk_look(const char *spec, struct disk *ret, char *seen, size_t n)
{
	_cleanup_closedir_ DIR *d = opendir("/sys/class/block");
	const char *serial = strncmp(spec, "SERIAL=", 7) ? NULL : spec + 7;
	bool probe = !strncmp(spec, "LABEL=", 6) || !strncmp(spec, "UUID=", 5);
	struct dirent *de;
	struct disk disk;
	char path[280];
	size_t len = 0;

	seen[0] = '\0';
	while (d && (de = readdir(d))) {
		int r;

		if (de->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/dev/%s", de->d_name);
		if (serial ? !disk_has_serial(de->d_name, serial) : !probe && strcmp(path, spec) != 0) {
			len += (size_t)snprintf(seen + len, n - len, " %s", de->d_name);
		} else {
			disk = (struct disk){ 0 };
			r = disk_probe(path, &disk);
			if (!probe || (r == 0 && disk_is(&disk, spec))) {
				*ret = disk;
				return r;
			}
			len += (size_t)snprintf(seen + len, n - len, " %s%s%s", de->d_name, disk.label[0] ? "=" : "", disk.label);
		}
		if (len >= n)
			len = n - 1;
	}
	return -ENODEV;
}

static int disk_listen(struct ssi_err *e)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return ssi_errno(e, -errno, "listening for devices");
	return TAKE_FD(fd);
}

int disk_wait(const char *spec, struct disk *ret, struct ssi_err *e)
{
	_cleanup_close_ int fd = disk_listen(e);
	uint64_t end = ssi_clock_mono_ms() + APPEAR_MS, now;
	char seen[256], event[4096];

	if (fd < 0)
		return fd;
	outcome_note("waiting for disk %s", spec);
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int r = disk_look(spec, ret, seen, sizeof(seen));

		if (r == 0)
			return 0;
		now = ssi_clock_mono_ms();
		if (now >= end && r == -EMEDIUMTYPE)
			return ssi_errf(e, r, "%s holds no file system known here (erofs, ext4 or xfs)", spec);
		if (now >= end && r != -ENODEV)
			return ssi_errno(e, r, "disk %s cannot be read", spec);
		if (now >= end)
			return ssi_errf(e, r, "no disk %s; there %s%s", spec, seen[0] ? "are:" : "is none", seen);
		poll(&p, 1, (int)(end - now));
		while (recv(fd, event, sizeof(event), 0) > 0)
			;
	}
}
