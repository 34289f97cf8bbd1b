/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copies three files. Runs in a stage's child: the root may be far away. */
#include <errno.h>
#include <stdio.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/file.h"
#include "libssi/base/path.h"
#include "ssi-init/identity.h"
#include "ssi-init/outcome.h"

#define IDENTITY_MAX 4096

static const struct { const char *name, *folder; mode_t mode; } files[] = {
	{ IDENTITY_MACHINE_ID, "etc", 0444 }, { IDENTITY_SSH, "etc/ssh", 0600 }, { IDENTITY_SSH ".pub", "etc/ssh", 0644 },
};

static int lay_one(const char *from, const char *to, size_t i, struct ssi_err *e)
{
	_cleanup_free_ char *text = NULL;
	char path[256];
	size_t n;
	int r;

	snprintf(path, sizeof(path), "%s/%s", from, files[i].name);
	r = ssi_file_read(path, IDENTITY_MAX, &text, &n);
	if (r < 0)
		return r == -ENOENT ? 0 : ssi_errno(e, r, "%s", path);
	snprintf(path, sizeof(path), "%s/%s", to, files[i].folder);
	r = ssi_path_mkdirs(path, 0755);
	if (r < 0)
		return ssi_errno(e, r, "mkdir %s", path);
	snprintf(path, sizeof(path), "%s/%s/%s", to, files[i].folder, files[i].name);
	outcome_note("writing %s", path);
	r = ssi_file_write_if_changed(path, text, n, files[i].mode);
	return r < 0 ? ssi_errno(e, r, "%s", path) : 0;
}

int identity_lay(const char *from, const char *to, struct ssi_err *e)
{
	int r = 0;

	for (size_t i = 0; i < sizeof(files) / sizeof(*files) && r == 0; i++)
		r = lay_one(from, to, i, e);
	return r;
}
