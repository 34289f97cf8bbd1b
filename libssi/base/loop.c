/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Called by init-image for a root in memory, and by the daemon for what it serves over iSCSI. A device that another process takes first is tried again. */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/loop.h"

#define TRIES 8
#define BLOCK 4096               /* erofs reads no less */

static int loop_try(int control, int file, const char *name, unsigned flags, char *buf, size_t n, int *ret_device)
{
	struct loop_config config = { .fd = (unsigned)file, .block_size = BLOCK, .info.lo_flags = LO_FLAGS_READ_ONLY | flags };
	_cleanup_close_ int device = -1;
	int number = ioctl(control, LOOP_CTL_GET_FREE);

	if (number < 0)
		return -errno;
	snprintf(buf, n, "/dev/loop%d", number);
	device = open(buf, O_RDONLY | O_CLOEXEC);
	if (device < 0)
		return -errno;
	snprintf((char *)config.info.lo_file_name, sizeof(config.info.lo_file_name), "%s", name);
	if (ioctl(device, LOOP_CONFIGURE, &config) < 0)
		return -errno;
	*ret_device = TAKE_FD(device);
	return 0;
}

int ssi_loop_attach(int file, const char *name, char *buf, size_t n, int *ret_device, struct ssi_err *e)
{
	_cleanup_close_ int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), device = -1;
	int r = -EBUSY;

	if (control < 0 && errno == ENOENT)
		return ssi_errf(e, -ENODEV, "the kernel has no loop devices (module loop missing)");
	if (control < 0)
		return ssi_errno(e, -errno, "/dev/loop-control");
	for (int i = 0; i < TRIES && r == -EBUSY; i++)
		r = loop_try(control, file, name, ret_device ? LO_FLAGS_AUTOCLEAR : 0, buf, n, &device);
	if (r < 0)
		return ssi_errno(e, r, "a loop device for %s", name);
	if (ret_device)
		*ret_device = TAKE_FD(device);
	return 0;
}
