/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The child of targets.c: it looks what configfs has, takes the steps (targets-plan.c), and tells what configfs has then. All of this may wait, in the kernel and for minutes: taking a
 * session's ACL away waits for that session, a portal for every login that goes on there, enabling a disk opens it; and who only looks waits for who changes. So the daemon
 * itself never touches configfs.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bootsvc/hangup.h"
#include "bootsvc/targets-steps.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/fd.h"
#include "libssi/base/file.h"
#include "libssi/base/loop.h"
#include "libssi/base/path.h"
#include "libssi/base/spawn.h"

#define CONFIGFS "/sys/kernel/config"
#define TARGET CONFIGFS "/target/"
#define MODULES_MS 10000

static bool reads(const char *path, const char *value, void *userdata)
{
	_cleanup_free_ char *full = ssi_path_join(TARGET, path);
	char line[72];

	return full && ssi_file_read_line(full, line, sizeof(line)) >= 0 && strcmp(line, value) == 0;
}

static int see(struct target_items *l, const char *full, int seen)
{
	const char *path = full + strlen(TARGET);
	char link[1024];
	ssize_t n;

	if (!targets_ours(path))
		return 0;
	n = readlink(full, link, sizeof(link) - 1);
	link[n < 0 ? 0 : n] = '\0';
	if (seen >= 0 && dprintf(seen, "%s\t%s\n", path, link) < 0)
		return -errno;
	return targets_saw(l, path, n < 0 ? NULL : link);
}

/* seen: where it is written, too, a line for each; -1: nowhere. */
static int look(struct target_items *ret, int seen)
{
	int r = 0;

	for (size_t p = 0; r == 0 && targets_patterns[p]; p++) {
		_cleanup_free_ char *pattern = ssi_path_join(TARGET, targets_patterns[p]);
		glob_t g = { 0 };

		if (!pattern || glob(pattern, 0, NULL, &g) == GLOB_NOSPACE)
			r = -ENOMEM;
		for (size_t i = 0; r == 0 && i < g.gl_pathc; i++)
			r = see(ret, g.gl_pathv[i], seen);
		globfree(&g);
	}
	return r;
}

static int load_modules(struct ssi_err *e)
{
	struct stat st;

	if (stat(TARGET "core", &st) == 0 && stat(TARGET "iscsi", &st) == 0)
		return 0;
	if (ssi_spawn_run((char *[]){ "modprobe", "-a", "configfs", "target_core_iblock", "target_core_file", "iscsi_target_mod", "loop", NULL }, MODULES_MS, e) < 0)
		return ssi_err_prefix(e, "iSCSI targets");
	if (stat(CONFIGFS "/target", &st) < 0 && mount("configfs", CONFIGFS, "configfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 && errno != EBUSY)
		return ssi_errno(e, -errno, "mount configfs on %s", CONFIGFS);
	return 0;
}

static int poke(const char *folder, const char *name, const char *text)
{
	_cleanup_free_ char *path = ssi_path_join(folder, name);

	return path ? ssi_file_poke(path, text) : -ENOMEM;
}

/* What a node sees of it, the same on every master: what stands behind the last '-' or ':' of its folder's name. */
static int serve(const char *folder, const char *control, char before_serial)
{
	int r = poke(folder, "control", control);

	if (r == 0)
		r = poke(folder, "enable", "1");
	return r < 0 ? r : poke(folder, "wwn/vpd_unit_serial", strrchr(folder, before_serial) + 1);
}

/* The loop device is held by the disk alone, and goes with it. */
static int serve_image(const char *folder, const char *file, struct ssi_err *e)
{
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC), device = -1;
	char name[32], control[80];
	int r = fd < 0 ? ssi_errno(e, -errno, "%s", file) : ssi_loop_attach(fd, "ssi-iscsi", name, sizeof(name), &device, e);

	if (r < 0)
		return r;
	snprintf(control, sizeof(control), "udev_path=%s,readonly=1", name);
	r = serve(folder, control, '-');
	return r < 0 ? ssi_errno(e, r, "%s as a disk of %s", name, folder) : 0;
}

/*
 * Without a write cache (opened with O_DSYNC): what a node was told is written is on the master's disk. A node goes on over a master's power cut, and no initiator says again
 * what was acknowledged before it and not flushed: with a cache that would be lost in silence, under a file system that runs. What is discarded becomes a hole again.
 */
static int serve_volume(const char *folder, const char *file, struct ssi_err *e)
{
	_cleanup_free_ char *control = NULL;
	struct stat st;
	int r = stat(file, &st) < 0 ? -errno : 0;

	if (r == 0 && asprintf(&control, "fd_dev_name=%s,fd_dev_size=%llu", file, (unsigned long long)st.st_size) < 0)
		r = -ENOMEM;
	if (r == 0)
		r = serve(folder, control, ':');
	if (r == 0)
		(void)poke(folder, "attrib/emulate_tpu", "1");
	return r < 0 ? ssi_errno(e, r, "%s as a disk of %s", file, folder) : 0;
}

/* path: of the disk's "enable". */
static int make_disk(const struct target_item *i, char *path, struct ssi_err *e)
{
	*strrchr(path, '/') = '\0';
	return i->kind == TARGET_IMAGE ? serve_image(path, i->value, e) : serve_volume(path, i->value, e);
}

static int make(const struct target_item *i, char *path, struct ssi_err *e)
{
	_cleanup_free_ char *to = NULL;
	int r = 0;

	switch (i->kind) {
	case TARGET_DIR:
		r = mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
		break;
	case TARGET_LINK:
		to = ssi_path_join(TARGET, i->value);
		r = !to ? -ENOMEM : symlink(to, path) < 0 ? -errno : 0;
		break;
	case TARGET_SET:
		r = ssi_file_poke(path, i->value);
		break;
	case TARGET_IMAGE:
	case TARGET_VOLUME:
		return make_disk(i, path, e);
	}
	return r < 0 ? ssi_errno(e, r, "%s", path) : 0;
}

static int take_step(const struct target_step *s, struct ssi_err *e)
{
	_cleanup_free_ char *path = ssi_path_join(TARGET, s->item.path);

	if (!path)
		return ssi_errno(e, -ENOMEM, "iSCSI targets");
	if (!s->remove)
		return make(&s->item, path, e);
	if ((s->item.kind == TARGET_LINK ? unlink(path) : rmdir(path)) < 0 && errno != ENOENT)
		return ssi_errno(e, -errno, "removing %s", path);
	return 0;
}

static int take_steps(const struct target_items *wanted, struct ssi_err *e)
{
	SSI_CLEANUP(targets_items_free) struct target_items actual = { 0 };
	SSI_CLEANUP(targets_steps_free) struct target_steps p = { 0 };
	int r = wanted->n ? load_modules(e) : 0;

	if (r < 0)
		return r;
	r = look(&actual, -1);
	if (r == 0)
		r = targets_plan(wanted, &actual, reads, NULL, &p);
	if (r < 0)
		return ssi_errno(e, r, "iSCSI targets");
	/* One that cannot be taken keeps back none that has nothing to do with it; the first is told. */
	for (size_t i = 0; i < p.n; i++)
		if (take_step(&p.s[i], r < 0 ? NULL : e) < 0)
			r = -EIO;
	return r;
}

int targets_steps_take(const struct targets_job *j, int seen, struct ssi_err *e)
{
	SSI_CLEANUP(targets_items_free) struct target_items after = { 0 };
	struct ssi_err ignored;
	int r = 0, q;

	/* A login that was begun from a machine that is gone keeps its portal from going, and others from logging in. */
	if (j->hang_up)
		(void)hangup(j->gone, j->n_gone, SSI_ISCSI_PORT, &ignored);
	if (j->wanted)
		r = take_steps(j->wanted, e);
	q = look(&after, seen);
	if (q == 0 && dprintf(seen, "%s\n", TARGETS_SEEN_ALL) < 0)
		q = -errno;
	return r == 0 && q < 0 ? ssi_errno(e, q, "iSCSI targets") : r;
}

int targets_steps_seen(int seen, struct target_items *ret)
{
	_cleanup_fclose_ FILE *f = NULL;
	_cleanup_free_ char *line = NULL;
	int fd = dup(seen), r = 0;
	size_t size = 0;
	ssize_t n;

	if (fd < 0 || lseek(fd, 0, SEEK_SET) < 0 || !(f = fdopen(fd, "r"))) {
		if (fd >= 0)
			close(fd);
		return -ENOMEM;
	}
	while (r == 0 && (n = getline(&line, &size, f)) > 0) {
		char *link = strchr(line, '\t');

		line[strcspn(line, "\n")] = '\0';
		if (!link)
			return strcmp(line, TARGETS_SEEN_ALL) == 0 ? 0 : -EAGAIN;
		*link++ = '\0';
		r = targets_saw(ret, line, *link ? link : NULL);
	}
	return r < 0 ? r : -EAGAIN;
}
