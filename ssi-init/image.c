/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * init-image: a helper of ssi-init for ssi.root=ram:. PID 1 runs it, with a deadline, as
 *
 *     init-image fetch              the image into memory, checked, as a block device that /run/ssi/root/image names
 *
 * A program of its own because the digest is GnuTLS's, which is in the initramfs for init-line.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/log.h"
#include "libssi/base/loop.h"
#include "libssi/base/path.h"
#include "ssi-init/boot.h"
#include "ssi-init/fetch.h"
#include "ssi-init/outcome.h"

static int image_link(const char *device, struct ssi_err *e)
{
	int r = ssi_path_mkdirs(BOOT_ROOT, 0755);

	if (r == 0 && unlink(BOOT_IMAGE) < 0 && errno != ENOENT)
		r = -errno;
	if (r == 0 && symlink(device, BOOT_IMAGE) < 0)
		r = -errno;
	return r < 0 ? ssi_errno(e, r, "%s", BOOT_IMAGE) : 0;
}

static int image_fetch(const struct boot *b, struct ssi_err *e)
{
	_cleanup_close_ int fd = -1;
	char device[32];
	int r = fetch_image(&b->args, &fd, e);

	if (r == 0)
		r = ssi_loop_attach(fd, "root.erofs", device, sizeof(device), NULL, e);
	return r < 0 ? r : image_link(device, e);
}

int main(int argc, char **argv)
{
	struct ssi_err e = { 0 };
	struct boot b = { 0 };
	int r;

	ssi_log_open("ssi-init", LOG_INFO);
	if (argc != 2 || strcmp(argv[1], "fetch") != 0) {
		fprintf(stderr, "init-image: a helper of ssi-init(8): init-image fetch\n");
		return 2;
	}
	r = boot_read_args(&b, &e);
	if (b.args.debug)
		ssi_log_open("ssi-init", LOG_DEBUG);
	log_debug("%llu ms: image", (unsigned long long)ssi_clock_boot_ms());
	if (r == 0)
		r = image_fetch(&b, &e);
	outcome_put(&e);
	return r < 0;
}
