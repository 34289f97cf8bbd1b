/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's NFS server by mount(8), umount(8) and exportfs(8). Called by exports.c. It needs nfs-kernel-server's mountd to
 * be running, which answers the kernel's questions about exports.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bootsvc/exports-nfsd.h"
#include "libssi/base/buf.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/file.h"
#include "libssi/base/hash.h"

#define ETAB "/var/lib/nfs/etab"
#define SERVER "/var/lib/nfs"
#define NOTES "/etc/exports.d"
#define NOTE NOTES "/ssi-bootsvc.exports"
#define TABLE_MAX (4u << 20)

static int nfsd_actual(const char *root, struct export_view *ret, struct ssi_err *e)
{
	_cleanup_free_ char *mounts = NULL, *etab = NULL;
	SSI_CLEANUP(export_view_free) struct export_view v = { 0 };
	int r = ssi_file_read("/proc/self/mounts", TABLE_MAX, &mounts, NULL);

	if (r < 0)
		return ssi_errno(e, r, "/proc/self/mounts");
	r = ssi_file_read(ETAB, TABLE_MAX, &etab, NULL);
	if (r < 0 && r != -ENOENT)
		return ssi_errno(e, r, ETAB);
	r = export_view_mounts(&v, root, mounts);
	if (r == 0 && etab)
		r = export_view_etab(&v, root, etab);
	if (r < 0)
		return ssi_errno(e, r, "exports");
	*ret = v;
	v = (struct export_view) { 0 };
	return 0;
}

static int path_of(const struct export_step *s, const char *root, char *buf)
{
	int n = s->generation[0] ? snprintf(buf, EXPORTS_TEXT, "%s/%s", root, s->generation) : snprintf(buf, EXPORTS_TEXT, "%s", root);

	return n < EXPORTS_TEXT ? 0 : -ENAMETOOLONG;
}

static void words(struct export_command *c, const char *const *w)
{
	size_t i = 0;

	for (; w[i]; i++)
		c->argv[i] = (char *)w[i];
	c->argv[i] = NULL;
}

/* The pseudo-root is a small file system of its own: whoever guesses a file handle in it finds nothing of the master's. */
static int mount_command(const struct export_step *s, const char *store, struct export_command *c)
{
	char *path = c->text[0], *image = c->text[1];

	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return -errno;
	/* It has the users' files as well (users.c). */
	if (s->what == EXPORT_ROOT_MOUNT) {
		words(c, (const char *[]) { "mount", "-t", "tmpfs", "-o", "size=16m,nr_inodes=4096,mode=0755,nosuid,nodev,noexec", "ssi-export", path, NULL });
		return 0;
	}
	if (s->source[0]) {
		snprintf(image, EXPORTS_TEXT, "%s", s->source);
		words(c, (const char *[]) { "mount", "--bind", image, path, NULL });
		return 0;
	}
	if (snprintf(image, EXPORTS_TEXT, "%s/%s/%s/root.erofs", store, s->image, s->generation) >= EXPORTS_TEXT)
		return -ENAMETOOLONG;
	words(c, (const char *[]) { "mount", "-t", "erofs", "-o", "ro,loop", image, path, NULL });
	return 0;
}

/*
 * Root of a node reads files of its image that only root may read; in a shared file system it is nobody unless nodes.d says otherwise. The fsid is the
 * generation's or the path's own, so that a node's handles are good after the master was restarted, or from another master.
 * "mountpoint": what is not mounted yet is not missing, the server lets whoever asks for it wait (see nfsd_note).
 */
static void options_of(const char *generation, const char *source, bool root, char how[EXPORTS_TEXT])
{
	char hex[SSI_HASH_HEX];
	struct ssi_hash *h;

	if (!generation[0]) {
		snprintf(how, EXPORTS_TEXT, "ro,async,no_subtree_check,no_root_squash,mountpoint,fsid=0");
	} else if (!source[0]) {
		snprintf(how, EXPORTS_TEXT, "ro,async,no_subtree_check,no_root_squash,mountpoint,fsid=%.32s", generation + strlen("sha256-"));
	} else if ((h = ssi_hash_new())) {
		ssi_hash_adds(h, generation);
		ssi_hash_end(h, hex);
		snprintf(how, EXPORTS_TEXT, "rw,sync,no_subtree_check,%s,mountpoint,fsid=%.32s", root ? "no_root_squash" : "root_squash", hex);
	}
}

static int export_command_words(const struct export_step *s, struct export_command *c)
{
	char *where = c->text[1], *how = c->text[2];

	if (snprintf(where, EXPORTS_TEXT, "%s:%s", s->client, c->text[0]) >= EXPORTS_TEXT)
		return -ENAMETOOLONG;
	if (s->what == EXPORT_UNEXPORT) {
		words(c, (const char *[]) { "exportfs", "-u", where, NULL });
		return 0;
	}
	options_of(s->generation, s->source, s->root, how);
	if (!how[0])
		return -ENOMEM;
	words(c, (const char *[]) { "exportfs", "-o", how, where, NULL });
	return 0;
}

/*
 * A file of exports(5). The NFS server begins with what stands in files, whatever was exported before: without this one it would tell nodes that still have
 * their files open that there are none (ESTALE, an error in a program). When this host starts, the daemon mounts all first (its unit is before the server's).
 * Should that have failed, "mountpoint" makes the server answer nothing rather than that, and the kernel asks again two minutes later.
 */
static int nfsd_note(const struct export_list *wanted, const char *root, struct ssi_err *e)
{
	_cleanup_buf_ struct ssi_buf text = SSI_BUF_INIT;
	int r;

	if (!wanted->n) {
		r = unlink(NOTE) < 0 && errno != ENOENT ? -errno : 0;
		return r < 0 ? ssi_errno(e, r, NOTE) : 0;
	}
	if (access(SERVER, F_OK) < 0)            /* there is no server that could read it */
		return 0;
	ssi_buf_adds(&text, "# Written by ssi-bootsvc: what its nodes have mounted. It goes when no node needs it any more and ssi-bootsvc ends.\n");
	for (size_t i = 0; i < wanted->n; i++) {
		const struct export_entry *w = &wanted->e[i];
		char how[EXPORTS_TEXT] = "";

		options_of(w->generation, w->source, w->root, how);
		if (how[0])
			ssi_buf_addf(&text, "\"%s%s%s\" %s(%s)\n", root, w->generation[0] ? "/" : "", w->generation, w->client, how);
	}
	r = text.err;
	if (r == 0 && mkdir(NOTES, 0755) < 0 && errno != EEXIST)
		r = -errno;
	if (r == 0)
		r = ssi_file_write_if_changed(NOTE, text.data, text.len, 0644);
	return r < 0 ? ssi_errno(e, r, NOTE) : 0;
}

static int nfsd_command(const struct export_step *s, const char *root, const char *store, struct export_command *ret, struct ssi_err *e)
{
	int r = path_of(s, root, ret->text[0]);

	if (r == 0 && (s->what == EXPORT_ROOT_MOUNT || s->what == EXPORT_MOUNT))
		r = mount_command(s, store, ret);
	else if (r == 0 && s->what == EXPORT_UNMOUNT)
		words(ret, (const char *[]) { "umount", ret->text[0], NULL });
	else if (r == 0)
		r = export_command_words(s, ret);
	return r < 0 ? ssi_errno(e, r, "%s/%s", root, s->generation) : 0;
}

const struct exports_ops exports_nfsd = { "nfsd", nfsd_actual, nfsd_command, nfsd_note, SERVER };
