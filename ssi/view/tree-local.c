/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Local processes: folders as in the real /proc, and in them links to the real files, but for task, which is a folder again, and for exe, cwd and root, which
 * lead where they lead there.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "ssi/view/view.h"

static int path_of(const struct vnode *v, char *buf, size_t n)
{
	if (v->kind == VIEW_TID || v->kind == VIEW_TID_LINK)
		return snprintf(buf, n, "%" PRIu32 "/task/%" PRIu32, v->a, v->b);
	return snprintf(buf, n, v->kind == VIEW_TASK ? "%" PRIu32 "/task" : "%" PRIu32, v->a);
}

static int dir_attr(struct view *w, const struct vnode *v, struct stat *st)
{
	struct stat real;
	char path[48];

	path_of(v, path, sizeof(path));
	if (fstatat(w->proc, path, &real, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	st->st_uid = real.st_uid;
	st->st_gid = real.st_gid;
	st->st_mtim = real.st_mtim;
	st->st_nlink = real.st_nlink;
	return 0;
}

/* The kind of what lies in a process's or a thread's folder. */
static int child(struct view *w, const struct vnode *v, const char *name, struct vnode *ret)
{
	uint32_t number;
	int r;

	if (v->kind == VIEW_PID && !strcmp(name, "task")) {
		*ret = (struct vnode){ .kind = VIEW_TASK, .a = v->a };
		return 0;
	}
	r = view_name(w, name, &number);
	if (r == 0)
		*ret = (struct vnode){ v->kind == VIEW_PID ? VIEW_PID_LINK : VIEW_TID_LINK, v->a, v->b, number };
	return r;
}

static int dir_lookup(struct view *w, const struct view_caller *c, const struct vnode *v, const char *name, struct vnode *ret)
{
	struct stat st;
	char path[128];
	int n = path_of(v, path, sizeof(path));

	if (snprintf(path + n, sizeof(path) - (size_t)n, "/%s", name) >= (int)sizeof(path) - n || fstatat(w->proc, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -ENOENT;
	return child(w, v, name, ret);
}

static int count_on(struct view *w, const char *name, struct view_list *ret)
{
	view_add(ret, name, S_IFLNK, (struct vnode){ 0 });
	return 0;
}

static int dir_list(struct view *w, const struct view_caller *c, const struct vnode *v, struct view_list *ret)
{
	char path[48];
	int r;

	path_of(v, path, sizeof(path));
	r = local_names(w->proc, path, w, ret, count_on);
	for (size_t i = 0; r == 0 && i < ret->n; i++) {
		r = child(w, v, ret->e[i].name, &ret->e[i].v);
		if (r == 0)
			ret->e[i].type = view_ops(&ret->e[i].v)->mode & S_IFMT;
	}
	return r;
}

static int task_lookup(struct view *w, const struct view_caller *c, const struct vnode *v, const char *name, struct vnode *ret)
{
	struct stat st;
	char path[64];
	uint32_t tid;

	if (local_number(name, &tid) < 0)
		return -ENOENT;
	snprintf(path, sizeof(path), "%" PRIu32 "/task/%" PRIu32, v->a, tid);
	if (fstatat(w->proc, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -ENOENT;
	*ret = (struct vnode){ .kind = VIEW_TID, .a = v->a, .b = tid };
	return 0;
}

static int task_list(struct view *w, const struct view_caller *c, const struct vnode *v, struct view_list *ret)
{
	char path[48];
	uint32_t tid;
	int r;

	path_of(v, path, sizeof(path));
	r = local_names(w->proc, path, w, ret, count_on);
	for (size_t i = 0; r == 0 && i < ret->n; i++)
		if (local_number(ret->e[i].name, &tid) == 0)
			ret->e[i].v = (struct vnode){ .kind = VIEW_TID, .a = v->a, .b = tid }, ret->e[i].type = S_IFDIR;
	return r;
}

/* Does a path of that process lead to the same for the caller? It does in one mount namespace; those of sessions are of that of the host, which is ours. */
static bool same_mounts(const struct view *w, const struct view_caller *c, uint32_t pid)
{
	char path[32], theirs[64] = "", here[64] = "", ours[64] = "";

	snprintf(path, sizeof(path), "%" PRIu32 "/ns/mnt", pid);
	if (readlinkat(w->proc, path, theirs, sizeof(theirs) - 1) <= 0)
		return true;             /* a zombie, which has none */
	snprintf(path, sizeof(path), "%d/ns/mnt", c->pid);
	readlinkat(w->proc, path, here, sizeof(here) - 1);
	readlinkat(w->proc, "self/ns/mnt", ours, sizeof(ours) - 1);
	return !strcmp(theirs, here) || !strcmp(theirs, ours);
}

/* Where exe, cwd and root lead is the caller's business only if the kernel would say so. */
static int link_real(struct view *w, const struct view_caller *c, const struct vnode *v, const char *path, char *buf, size_t n)
{
	ssize_t k;

	if (!local_may_follow(w, c, v->a))
		return -EACCES;
	k = readlinkat(w->proc, path, buf, n - 1);
	if (k < 0)
		return -errno;
	buf[k] = '\0';
	return 0;
}

static int file_link(struct view *w, const struct view_caller *c, const struct vnode *v, char *buf, size_t n)
{
	const char *name = view_named(w, v->name);
	char path[128];
	int k = path_of(v, path, sizeof(path));

	snprintf(path + k, sizeof(path) - (size_t)k, "/%s", name);
	/* In other mounts "/" is another folder: only the kernel's own link leads there. */
	if (!strcmp(name, "exe") || !strcmp(name, "cwd") || (!strcmp(name, "root") && same_mounts(w, c, v->a)))
		return link_real(w, c, v, path, buf, n);
	snprintf(buf, n, "%sssi/local/%s", v->kind == VIEW_TID_LINK ? "../../../" : "../", path);
	return 0;
}

/* A process may be gone, and another have its number, soon; where a name in its folder leads does not change with that. */
const struct view_ops view_local_ops[] = {
	[VIEW_PID - VIEW_PID] = { S_IFDIR | 0555, 0.1, dir_attr, dir_lookup, dir_list, NULL, NULL },
	[VIEW_PID_LINK - VIEW_PID] = { S_IFLNK | 0777, 60, NULL, NULL, NULL, file_link, NULL },
	[VIEW_TASK - VIEW_PID] = { S_IFDIR | 0555, 0.1, dir_attr, task_lookup, task_list, NULL, NULL },
	[VIEW_TID - VIEW_PID] = { S_IFDIR | 0555, 0.1, dir_attr, dir_lookup, dir_list, NULL, NULL },
	[VIEW_TID_LINK - VIEW_PID] = { S_IFLNK | 0777, 60, NULL, NULL, NULL, file_link, NULL },
};
