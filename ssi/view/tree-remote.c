/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Remote processes: each a folder of files that are made from its row of the table. What only its node could say is refused. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "ssi/view/view.h"

#define SIZE 4096              /* what a file is said to hold before it is read: a read that ends earlier tells the kernel better */

static const struct rfile {
	const char *name;
	mode_t mode;
	void (*text)(const struct remote_process *r, struct ssi_buf *b);   /* NULL: refused */
} files[] = {
	{ "stat", S_IFREG | 0444, remote_stat }, { "status", S_IFREG | 0444, remote_status }, { "statm", S_IFREG | 0444, remote_statm },
	{ "cmdline", S_IFREG | 0444, remote_cmdline }, { "comm", S_IFREG | 0444, remote_comm }, { "wchan", S_IFREG | 0444, remote_wchan },
	{ "cgroup", S_IFREG | 0444, remote_cgroup }, { "oom_score", S_IFREG | 0444, remote_oom_score }, { "oom_score_adj", S_IFREG | 0444, remote_oom_score },
	{ "ssi", S_IFREG | 0444, remote_node }, { "environ", S_IFREG | 0400, NULL }, { "io", S_IFREG | 0400, NULL }, { "maps", S_IFREG | 0444, NULL },
	{ "exe", S_IFLNK | 0777, NULL }, { "cwd", S_IFLNK | 0777, NULL }, { "root", S_IFLNK | 0777, NULL }, { "fd", S_IFDIR | 0500, NULL },
};
enum { N_FILES = sizeof(files) / sizeof(*files) };

static bool is_seen(struct view *w, const struct view_caller *c, const struct ssi_proctable_process *p, int level)
{
	return p && local_may_see(w, c, p->on_node.uid[1], level);
}

int remote_lookup_pid(struct view *w, const struct view_caller *c, uint32_t pid, struct vnode *ret)
{
	const struct ssi_proctable_process *p = snapshot_process(&w->snap, pid);

	if (!is_seen(w, c, p, 2))
		return -ENOENT;
	*ret = (struct vnode){ .kind = VIEW_RPID, .a = pid };
	return 0;
}

void remote_list_pids(struct view *w, const struct view_caller *c, struct view_list *ret)
{
	char name[16];

	for (uint32_t i = 0; w->snap.table.head && i < w->snap.table.head->n; i++) {
		const struct ssi_proctable_process *p = &w->snap.table.processes[i];

		if (!is_seen(w, c, p, 2))
			continue;
		snprintf(name, sizeof(name), "%" PRIu32, p->pid);
		view_add(ret, name, S_IFDIR, (struct vnode){ .kind = VIEW_RPID, .a = p->pid });
	}
}

static int attr(struct view *w, const struct vnode *v, struct stat *st)
{
	const struct ssi_proctable_process *p = snapshot_process(&w->snap, v->a);
	bool file = v->kind == VIEW_RFILE || v->kind == VIEW_RTID_FILE;

	if (!p || (file && v->name >= N_FILES))
		return -ENOENT;
	st->st_uid = p->on_node.uid[1];
	st->st_gid = p->on_node.gid[1];
	if (!file)
		return 0;
	st->st_mode = files[v->name].mode;
	st->st_size = S_ISREG(st->st_mode) ? SIZE : 0;
	/* The kernel drops what it keeps of a file when its time changes. */
	st->st_mtim.tv_sec = (time_t)(w->snap.table.head->written_ms / 1000);
	st->st_mtim.tv_nsec = (long)(w->snap.table.head->written_ms % 1000) * 1000000;
	return 0;
}

static int dir_lookup(struct view *w, const struct view_caller *c, const struct vnode *v, const char *name, struct vnode *ret)
{
	if (v->kind == VIEW_RPID && !strcmp(name, "task")) {
		*ret = (struct vnode){ .kind = VIEW_RTASK, .a = v->a };
		return 0;
	}
	for (uint32_t i = 0; i < N_FILES; i++)
		if (!strcmp(files[i].name, name)) {
			/* One answer instead of two to who tries every process's. */
			if (S_ISREG(files[i].mode) && !files[i].text)
				return -EACCES;
			*ret = (struct vnode){ v->kind == VIEW_RPID ? VIEW_RFILE : VIEW_RTID_FILE, v->a, v->b, i };
			return 0;
		}
	return -ENOENT;
}

static int dir_list(struct view *w, const struct view_caller *c, const struct vnode *v, struct view_list *ret)
{
	for (uint32_t i = 0; i < N_FILES; i++)
		view_add(ret, files[i].name, files[i].mode, (struct vnode){ v->kind == VIEW_RPID ? VIEW_RFILE : VIEW_RTID_FILE, v->a, v->b, i });
	if (v->kind == VIEW_RPID)
		view_add(ret, "task", S_IFDIR, (struct vnode){ .kind = VIEW_RTASK, .a = v->a });
	return 0;
}

/* Of its threads only the first is told of. */
static int task_lookup(struct view *w, const struct view_caller *c, const struct vnode *v, const char *name, struct vnode *ret)
{
	uint32_t tid;

	if (local_number(name, &tid) < 0 || tid != v->a)
		return -ENOENT;
	*ret = (struct vnode){ .kind = VIEW_RTID, .a = v->a, .b = v->a };
	return 0;
}

static int task_list(struct view *w, const struct view_caller *c, const struct vnode *v, struct view_list *ret)
{
	char name[16];

	snprintf(name, sizeof(name), "%" PRIu32, v->a);
	view_add(ret, name, S_IFDIR, (struct vnode){ .kind = VIEW_RTID, .a = v->a, .b = v->a });
	return 0;
}

static int text(struct view *w, const struct view_caller *c, const struct vnode *v, struct ssi_buf *b)
{
	struct remote_process r = { .s = &w->snap, .p = snapshot_process(&w->snap, v->a), .boot_ms = w->boot_ms };

	if (!r.p || v->name >= N_FILES)
		return -ESRCH;
	if (!files[v->name].text)
		return -EACCES;
	if (!is_seen(w, c, r.p, 1))
		return -EPERM;
	r.family = (struct remote_family){ r.p->ppid, r.p->pgrp, r.p->session, 0, -1 };
	if (r.p->job)
		local_family(w, r.p->pid, &r.family);
	files[v->name].text(&r, b);
	return b->err;
}

static int link_refused(struct view *w, const struct view_caller *c, const struct vnode *v, char *buf, size_t n)
{
	return -EACCES;
}

static int list_refused(struct view *w, const struct view_caller *c, const struct vnode *v, struct view_list *ret)
{
	return -EACCES;
}

const struct view_ops view_remote_ops[] = {
	[VIEW_RPID - VIEW_RPID] = { S_IFDIR | 0555, 1, attr, dir_lookup, dir_list, NULL, NULL, false },
	[VIEW_RFILE - VIEW_RPID] = { S_IFREG | 0444, 1, attr, NULL, list_refused, link_refused, text, true },
	[VIEW_RTASK - VIEW_RPID] = { S_IFDIR | 0555, 1, attr, task_lookup, task_list, NULL, NULL, false },
	[VIEW_RTID - VIEW_RPID] = { S_IFDIR | 0555, 1, attr, dir_lookup, dir_list, NULL, NULL, false },
	[VIEW_RTID_FILE - VIEW_RPID] = { S_IFREG | 0444, 1, attr, NULL, list_refused, link_refused, text, true },
};
