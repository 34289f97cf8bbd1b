/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files of state volumes, below STATE/volumes/SYSTEM/NODE: volume-N.img, and snapshot-NAME.img. A file keeps its name for its life: what serves one is never
 * given another under the same path. A half-made one ends in .tmp, and is removed at the next start.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bootsvc/events.h"
#include "bootsvc/volumes-internal.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/fd.h"
#include "libssi/base/file.h"
#include "libssi/base/hash.h"
#include "libssi/base/log.h"
#include "libssi/base/num.h"
#include "libssi/base/path.h"

#define MAKE_LIMIT_S 300
#define SYNC_LIMIT_S 600

char *volume_folder(struct volumes *v, const char *system, const char *node)
{
	_cleanup_free_ char *volumes = ssi_path_join3(v->daemon->opt->state, "volumes", system);

	return volumes ? ssi_path_join(volumes, node) : NULL;
}

void volume_file_name(unsigned serial, char ret[80])
{
	snprintf(ret, 80, "volume-%u.img", serial);
}

char *volume_path(struct volumes *v, const struct state_volume *row)
{
	_cleanup_free_ char *folder = volume_folder(v, row->system, row->node);
	char name[80];

	volume_file_name(row->serial, name);
	return folder ? ssi_path_join(folder, name) : NULL;
}

char *volume_snapshot_path(struct volumes *v, const struct state_snapshot *p)
{
	_cleanup_free_ char *folder = volume_folder(v, p->system, p->node);

	return folder ? ssi_path_join(folder, p->file) : NULL;
}

/* ---- which there are ---- */

struct known { const char *file; bool is; };

static void is_known(const struct state_snapshot *p, void *userdata)
{
	struct known *k = userdata;

	k->is |= strcmp(p->file, k->file) == 0;
}

/* The number in volume-N.img; 0: it is no such name. */
static unsigned serial_of(const char *name)
{
	char digits[16];
	uint32_t n;

	if (strncmp(name, "volume-", 7) != 0 || strspn(name + 7, "0123456789") >= sizeof(digits))
		return 0;
	snprintf(digits, sizeof(digits), "%.*s", (int)strspn(name + 7, "0123456789"), name + 7);
	return strcmp(name + 7 + strlen(digits), ".img") == 0 && ssi_num_u32(digits, 1, UINT32_MAX - 1, &n) == 0 ? n : 0;
}

int volume_serial(struct volumes *v, const char *system, const char *node, unsigned *ret, struct ssi_err *e)
{
	_cleanup_free_ char *folder = volume_folder(v, system, node);
	_cleanup_closedir_ DIR *d = folder ? opendir(folder) : NULL;
	struct state_volume row = { 0 };
	unsigned last = 0;
	struct dirent *de;

	if (!folder || (!d && errno != ENOENT))
		return ssi_errno(e, folder ? -errno : -ENOMEM, "%s", folder ? folder : node);
	if (state_volume_get(v->daemon->state, node, &row, NULL) == 0)
		last = row.serial;
	while (d && (de = readdir(d))) {
		struct known k = { de->d_name, serial_of(de->d_name) == row.serial };

		if (!serial_of(de->d_name))
			continue;
		if (state_snapshot_each(v->daemon->state, node, is_known, &k, e) < 0)
			return -EIO;
		if (!k.is)
			return ssi_errf(e, -EEXIST, "%s/%s is a state volume that the daemon's store does not know (was the store lost?): nothing is made beside it."
					" Move it away first", folder, de->d_name);
		if (serial_of(de->d_name) > last)
			last = serial_of(de->d_name);
	}
	*ret = last + 1;
	return 0;
}

void volume_sweep(struct volumes *v, const char *system, const char *node)
{
	_cleanup_free_ char *folder = volume_folder(v, system, node);
	_cleanup_closedir_ DIR *d = folder ? opendir(folder) : NULL;
	struct dirent *de;

	while (d && (de = readdir(d))) {
		size_t n = strlen(de->d_name);

		if (n > 4 && strcmp(de->d_name + n - 4, ".tmp") == 0 && unlinkat(dirfd(d), de->d_name, 0) < 0)
			log_warning("%s/%s: %m", folder, de->d_name);
	}
}

int volume_uuid_new(char ret[VOLUMES_UUID], struct ssi_err *e)
{
	uint8_t u[16];
	char hex[33];
	int r = ssi_hash_random(u, sizeof(u));

	if (r < 0)
		return ssi_errno(e, r, "no random bytes");
	u[6] = (u[6] & 0x0f) | 0x40;     /* version 4, variant 1 (RFC 4122) */
	u[8] = (u[8] & 0x3f) | 0x80;
	ssi_hash_hex(u, sizeof(u), hex);
	snprintf(ret, VOLUMES_UUID, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
	return 0;
}

int volume_look(struct volumes *v, const struct state_volume *row, struct volume_super *ret, struct ssi_err *e)
{
	_cleanup_free_ char *path = volume_path(v, row);
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	uint8_t p[VOLUME_PROBE] = { 0 };
	ssize_t n;

	if (!path)
		return ssi_errno(e, -ENOMEM, "%s", row->node);
	if (fd < 0 && errno == ENOENT)
		return ssi_errf(e, -ENOENT, "the file of its state volume is gone (%s): put it back, or restore a snapshot ('ssi node state restore'), or begin anew"
				" with an empty one ('ssi node state rm %s')", path, row->node);
	if (fd < 0)
		return ssi_errno(e, -errno, "%s", path);
	n = ssi_fd_read_full(fd, p, sizeof(p));
	if (n < 0)
		return ssi_errno(e, (int)n, "%s", path);
	if (volume_super(p, ret) < 0)
		return ssi_errf(e, -EMEDIUMTYPE, "%s holds no file system that is known here: restore a snapshot, or begin anew ('ssi node state rm %s')", path,
				row->node);
	if (strcmp(ret->uuid, row->uuid) != 0)
		return ssi_errf(e, -EMEDIUMTYPE, "%s is another file system (UUID %s) than the one of %s (%s)", path, ret->uuid, row->node, row->uuid);
	return 0;
}

/* ---- making ---- */

static void make_failed(struct volumes *v, const char *node, const char *text)
{
	struct state_volume row;

	if (state_volume_get(v->daemon->state, node, &row, NULL) < 0)
		return;
	if (strncmp(row.trouble, text, sizeof(row.trouble) - 1) != 0)
		events_add(v->daemon->events, "state", node, "", 0, "its state volume could not be made: %s", text);
	snprintf(row.trouble, sizeof(row.trouble), "%.159s", text);
	state_volume_put(v->daemon->state, &row, NULL);
}

static void on_made(struct volume_work *w, int err, const struct ssi_err *why)
{
	struct volumes *v = w->volumes;
	struct state_volume row;
	struct ssi_err e = why ? *why : (struct ssi_err){ 0 };
	char node[64], size[16];

	strcpy(node, w->node);
	if (err == 0)
		err = state_volume_get(v->daemon->state, node, &row, &e);
	if (err == 0)
		err = volume_publish(w, &e);
	if (err == 0) {
		row.made = ssi_clock_wall_ms();
		row.trouble[0] = '\0';
		err = volumes_put(v, &row, &e);
	}
	if (err < 0)
		unlink(w->tmp);
	volumes_work_free(w);
	if (err < 0) {
		make_failed(v, node, e.text);
		return;
	}
	events_add(v->daemon->events, "state", node, "", 0, "state volume made: %s of %s", ssi_num_format_size(size, sizeof(size), row.size), row.fs);
	volumes_proceed(v, node, true);
}

int volume_publish(struct volume_work *w, struct ssi_err *e)
{
	int r = rename(w->tmp, w->to) < 0 ? -errno : ssi_file_sync_folder(w->to);

	return r < 0 ? ssi_errno(e, r, "%s", w->to) : 0;
}

/* A sparse file that nobody else can read. */
static int make_file(const char *path, uint64_t size, struct ssi_err *e)
{
	_cleanup_close_ int fd = -1;

	unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		return ssi_errno(e, -errno, "%s", path);
	return 0;
}

static int make_paths(struct volumes *v, const struct state_volume *row, struct volume_work *w, struct ssi_err *e)
{
	_cleanup_free_ char *folder = volume_folder(v, row->system, row->node);
	int r;

	w->to = volume_path(v, row);
	if (!folder || !w->to || asprintf(&w->tmp, "%s.tmp", w->to) < 0) {
		w->tmp = NULL;
		return ssi_errno(e, -ENOMEM, "%s", row->node);
	}
	r = ssi_path_mkdirs(folder, 0700);
	return r < 0 ? ssi_errno(e, r, "%s", folder) : make_file(w->tmp, row->size, e);
}

/*
 * The file is new and reads as zeros, so mke2fs writes neither inode tables nor a journal, and the node's kernel has none to write behind our back: 2 GiB take
 * some milliseconds and one MiB. An error makes the node's file system read-only, not its kernel panic.
 */
static int make_begin(struct volume_work *w, const struct state_volume *row, struct ssi_err *e)
{
	_cleanup_free_ char *uuid = NULL;
	const struct volume_command ext4[] = {
		{ { "mkfs.ext4", "-q", "-F", "-U", row->uuid, "-L", "ssi-state", "-E", "assume_storage_prezeroed=1,nodiscard", "-e", "remount-ro", "-m", "1", w->tmp },
		  .ok = 1, .limit_s = MAKE_LIMIT_S },
		{ { "sync", w->tmp }, .ok = 1, .limit_s = SYNC_LIMIT_S },
	};

	if (strcmp(row->fs, "xfs") != 0)
		return volumes_work_run(w, ext4, 2, on_made, e);
	if (asprintf(&uuid, "uuid=%s", row->uuid) < 0) {
		uuid = NULL;
		return ssi_errno(e, -ENOMEM, "%s", row->node);
	}
	return volumes_work_run(w, (const struct volume_command[]) {
		{ { "mkfs.xfs", "-q", "-f", "-K", "-m", uuid, "-L", "ssi-state", w->tmp }, .ok = 1, .limit_s = MAKE_LIMIT_S },
		{ { "sync", w->tmp }, .ok = 1, .limit_s = SYNC_LIMIT_S },
	}, 2, on_made, e);
}

int volume_make(struct volumes *v, const struct state_volume *row, struct ssi_err *e)
{
	struct volume_work *w = volumes_work_new(v, row->node, "is being made");
	int r = w ? make_paths(v, row, w, e) : ssi_errno(e, -ENOMEM, "%s", row->node);

	if (r == 0)
		r = make_begin(w, row, e);
	if (r < 0) {
		volumes_work_free(w);
		make_failed(v, row->node, e->text);
	}
	return r;
}

/* ---- checking ---- */

static void on_checked(struct volume_work *w, int err, const struct ssi_err *why)
{
	struct volumes *v = w->volumes;
	struct state_volume row;
	struct volume_super s;
	struct ssi_err e = why ? *why : (struct ssi_err){ 0 };
	char node[64];

	strcpy(node, w->node);
	volumes_work_free(w);
	if (state_volume_get(v->daemon->state, node, &row, NULL) < 0)
		return;
	if (err == 0)
		err = volume_look(v, &row, &s, &e);
	if (err == 0 && s.closed == VOLUME_OPEN)
		err = ssi_errf(&e, -EIO, "it is not closed, after a check that found nothing wrong");
	snprintf(row.trouble, sizeof(row.trouble), "%.159s", err < 0 ? e.text : "");
	if (err < 0)
		row.taker = 0;           /* it will ask for a boot script again, and be told */
	if (volumes_put(v, &row, &e) < 0) {
		volumes_retry_soon(v);
		return;
	}
	if (err < 0) {
		events_add(v->daemon->events, "state", node, "", 0, "its state volume is damaged, and not given out: %s", row.trouble);
		return;
	}
	events_add(v->daemon->events, "state", node, "", 0, "its state volume was not closed: checked, it is sound");
	volumes_proceed(v, node, true);
}

/*
 * ext4: the journal is replayed, and then all is checked (e2fsck(8), -f -p; statuses 1 and 2: it has put something right): a journal makes a file system whole after a power
 * cut, not after a disk or a machine that wrote nonsense. XFS replays its log
 * in the kernel alone, which is the node's, at its mount: a master that mounted what a node wrote would trust it. Here it is seen that there is a log to replay
 * (xfs_repair(8) refuses with status 2), or, where there is none, that all is sound.
 */
int volume_check(struct volumes *v, const struct state_volume *row, struct ssi_err *e)
{
	_cleanup_free_ char *path = volume_path(v, row);
	const struct volume_command ext4 = { { "e2fsck", "-f", "-p", path }, .ok = 1 << 0 | 1 << 1 | 1 << 2 };
	const struct volume_command xfs = { { "xfs_repair", path }, .ok = 1 << 0 | 1 << 2 };
	struct volume_work *w = path ? volumes_work_new(v, row->node, "is being checked") : NULL;
	int r = w ? volumes_work_run(w, strcmp(row->fs, "xfs") == 0 ? &xfs : &ext4, 1, on_checked, e) : ssi_errno(e, -ENOMEM, "%s", row->node);

	if (r < 0)
		volumes_work_free(w);
	return r;
}
