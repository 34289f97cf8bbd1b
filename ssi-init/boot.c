/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The facts of this boot: read from the kernel's command line, once, by main and by each helper program. Allocates nothing. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/fd.h"
#include "ssi-init/boot.h"

bool boot_is_nfs(const void *boot)
{
	const struct boot *b = boot;

	return !strncmp(b->args.root, "nfs:", 4);
}

bool boot_is_ram(const void *boot)
{
	const struct boot *b = boot;

	return !strncmp(b->args.root, "ram:", 4);
}

bool boot_has_shared(const void *boot)
{
	const struct boot *b = boot;

	return b->args.shared[0] && boot_has_master(boot);
}

bool boot_is_iscsi(const void *boot)
{
	const struct boot *b = boot;

	return b->args.iscsi[0];
}

bool boot_has_master(const void *boot)
{
	const struct boot *b = boot;

	return boot_is_nfs(boot) || boot_is_ram(boot) || !strncmp(b->args.root, "iscsi:", 6);
}

int boot_read_args(struct boot *b, struct ssi_err *e)
{
	char text[BOOT_CMDLINE_MAX];
	_cleanup_close_ int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n;
	int r;

	if (fd < 0)
		return ssi_errno(e, -errno, "/proc/cmdline");
	n = ssi_fd_read_full(fd, text, sizeof(text) - 1);
	if (n < 0)
		return ssi_errno(e, (int)n, "/proc/cmdline");
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	r = ssi_bootargs_parse(text, &b->args, e);
	if (r < 0)
		return r;
	b->args_known = true;
	return 0;
}

int boot_exec_helper(const char *program, char *const argv[], struct ssi_err *e)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", SSI_LIBEXECDIR, program);
	execv(path, argv);
	return ssi_errno(e, -errno, "%s (the initramfs is damaged or incomplete)", path);
}
