/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Called by image.c, in a stage's child, where nobody else attaches anything: a device that is taken meanwhile is tried again all the same. */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "ssi-init/loop.h"

#define TRIES 8
#define BLOCK 4096               /* erofs reads no less */

static int loop_try(int control, int file, char *buf, size_t n)
{
	struct loop_config config = { .fd = (unsigned)file, .block_size = BLOCK, .info.lo_flags = LO_FLAGS_READ_ONLY };
	_cleanup_close_ int device = -1;
	int number = ioctl(control, LOOP_CTL_GET_FREE);

	if (number < 0)
		return -errno;
	snprintf(buf, n, "/dev/loop%d", number);
	device = open(buf, O_RDONLY | O_CLOEXEC);
	if (device < 0)
		return -errno;
	snprintf((char *)config.info.lo_file_name, sizeof(config.info.lo_file_name), "root.erofs");
	return ioctl(device, LOOP_CONFIGURE, &config) < 0 ? -errno : 0;
}

int loop_attach(int file, char *buf, size_t n, struct ssi_err *e)
{
	_cleanup_close_ int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int r = -EBUSY;

	if (control < 0 && errno == ENOENT)
		return ssi_errf(e, -ENODEV, "the kernel has no loop devices (module loop missing)");
	if (control < 0)
		return ssi_errno(e, -errno, "/dev/loop-control");
	for (int i = 0; i < TRIES && r == -EBUSY; i++)
		r = loop_try(control, file, buf, n);
	return r < 0 ? ssi_errno(e, r, "a loop device for the image") : 0;
}
