/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Allocates, in its child: the users' files may be long. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/file.h"
#include "libssi/base/log.h"
#include "libssi/base/num.h"
#include "libssi/base/path.h"
#include "libssi/model/users.h"
#include "ssi-init/boot.h"
#include "ssi-init/nfs.h"
#include "ssi-init/outcome.h"
#include "ssi-init/shared.h"

#define SHARED_USERS BOOT_RUN "/users"

/*
 * What one node has closed another sees when it opens it. A name that was not there is asked for again each time (lookupcache), so that a file made on one
 * node is there on the others at once; what is known of a file or folder is good for a second, and for 5 or 10 s where it changes seldom.
 */
#define NFS_HOW "lookupcache=positive,acregmin=1,acregmax=10,acdirmin=1,acdirmax=5"

static int shared_nfs(const struct ssi_bootargs *a, const char *name, const char *where, unsigned long flags, struct ssi_err *e)
{
	char path[SSI_SHARED_NAME + 1];

	snprintf(path, sizeof(path), "/%s", name);
	return nfs_mount(a, path, where, flags | MS_NOSUID, NFS_HOW, e);
}

/* Has a try before this one mounted it? */
static bool shared_mounted(const char *where)
{
	_cleanup_free_ char *up = ssi_path_join(where, "..");
	struct stat a, b;

	return up && stat(where, &a) == 0 && stat(up, &b) == 0 && a.st_dev != b.st_dev;
}

static int shared_one(const struct ssi_bootargs *a, const char *path, struct ssi_err *e)
{
	char where[sizeof(BOOT_SYSROOT) + SSI_SHARED_PATH], name[SSI_SHARED_NAME];
	int r;

	snprintf(where, sizeof(where), "%s%s", BOOT_SYSROOT, path);
	r = ssi_path_mkdirs(where, 0755);
	if (r < 0)
		return ssi_errno(e, r, "mkdir %s in the new root", path);
	if (shared_mounted(where))
		return 0;
	ssi_shared_name(path, name);
	return shared_nfs(a, name, where, 0, e);
}

/* "" when there is none. */
static int shared_read(const char *dir, const char *name, char **ret)
{
	_cleanup_free_ char *path = ssi_path_join(dir, name);
	int r = path ? ssi_file_read(path, SSI_USERS_MAX, ret, NULL) : -ENOMEM;

	if (r != -ENOENT)
		return r;
	*ret = strdup("");
	return *ret ? 0 : -ENOMEM;
}

static int shared_users_one(enum ssi_users kind, const char *name, const char *root, const char *image, const char *master, struct ssi_err *e)
{
	_cleanup_free_ char *own = NULL, *has = NULL, *given = NULL, *in = NULL, *path = NULL, *base = ssi_path_join(image, "etc");
	_cleanup_buf_ struct ssi_buf text = SSI_BUF_INIT;
	unsigned dropped = 0;
	int r;

	in = ssi_path_join(root, "etc");
	path = in ? ssi_path_join(in, name) : NULL;
	r = base && path ? shared_read(master, name, &given) : -ENOMEM;
	if (r < 0)
		return ssi_errno(e, r, "the master's %s", name);
	r = shared_read(base, name, &has);
	if (r == 0)
		r = shared_read(in, name, &own);
	if (r == 0)
		r = ssi_users_merge(kind, own, has, given, &text, &dropped);
	if (r == 0)
		r = ssi_file_write_if_changed(path, text.data ? text.data : "", text.len, 0644);
	if (r < 0)
		return ssi_errno(e, r, "%s of the new root", name);
	if (dropped)
		log_warning("%u entr%s of the image's %s went: the master has given %s number to somebody else", dropped, dropped == 1 ? "y" : "ies", name,
			    dropped == 1 ? "its" : "their");
	return 0;
}

int shared_users_write(const char *root, const char *image, const char *master, struct ssi_err *e)
{
	int r = shared_users_one(SSI_USERS_PASSWD, "passwd", root, image, master, e);

	return r < 0 ? r : shared_users_one(SSI_USERS_GROUP, "group", root, image, master, e);
}

/* They are needed for this moment alone. */
static int shared_users(const struct ssi_bootargs *a, struct ssi_err *e)
{
	int r = ssi_path_mkdirs(SHARED_USERS, 0755);

	if (r < 0)
		return ssi_errno(e, r, "mkdir %s", SHARED_USERS);
	r = shared_nfs(a, "users", SHARED_USERS, MS_RDONLY | MS_NOEXEC, e);
	if (r < 0)
		return r;
	outcome_note("reading who the master's users are");
	r = shared_users_write(BOOT_SYSROOT, BOOT_LOWER, SHARED_USERS, e);
	umount2(SHARED_USERS, MNT_DETACH);
	return r;
}

int shared_mount(const struct ssi_bootargs *a, struct ssi_err *e)
{
	const char *text = a->shared;
	struct ssi_shared s;
	int r = 0;

	while (r == 0 && ssi_shared_next(&text, &s))
		r = shared_one(a, s.path, e);
	return r < 0 ? r : shared_users(a, e);
}
