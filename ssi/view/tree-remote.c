/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Remote processes: each a folder of files that are made from its row of the table. What only its node could say is refused. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "ssi/view/view.h"

/*
 * Files that change are always of the same size, blanks before their last newline: so who has read one while it became another has not read half of it.
 * What is refused is a device, which the kernel opens for nobody here, and asks nobody about.
 */
static const struct rfile {
	const char *name;
	mode_t mode;
	void (*text)(const struct remote_process *r, struct ssi_buf *b);   /* NULL: refused */
	uint32_t size;                                                     /* 0: as long as it is */
} files[] = {
	{ "stat", S_IFREG | 0444, remote_stat, 512 }, { "status", S_IFREG | 0444, remote_status, 1536 }, { "statm", S_IFREG | 0444, remote_statm, 128 },
	{ "cmdline", S_IFREG | 0444, remote_cmdline, 0 }, { "comm", S_IFREG | 0444, remote_comm, 0 }, { "wchan", S_IFREG | 0444, remote_wchan, 0 },
	{ "cgroup", S_IFREG | 0444, remote_cgroup, 0 }, { "oom_score", S_IFREG | 0444, remote_oom_score, 0 },
	{ "oom_score_adj", S_IFREG | 0444, remote_oom_score, 0 }, { "ssi", S_IFREG | 0444, remote_node, 0 }, { "environ", S_IFCHR | 0400, NULL, 0 },
	{ "io", S_IFCHR | 0400, NULL, 0 }, { "maps", S_IFCHR | 0444, NULL, 0 }, { "exe", S_IFLNK | 0777, NULL, 0 }, { "cwd", S_IFLNK | 0777, NULL, 0 },
	{ "root", S_IFLNK | 0777, NULL, 0 }, { "fd", S_IFDIR | 0500, NULL, 0 },
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

static bool is_file(const struct vnode *v)
{
	return v->kind == VIEW_RFILE || v->kind == VIEW_RTID_FILE;
}

/* FNV-1a, by words. */
#define MIX_FIRST 14695981039346656037u
static uint64_t mix(uint64_t h, const void *p, size_t n)
{
	uint64_t word;

	for (const uint8_t *at = p; n; at += sizeof(word)) {
		word = 0;
		memcpy(&word, at, n < sizeof(word) ? n : sizeof(word));
		h = (h ^ word) * 1099511628211u;
		h ^= h >> 29;
		n -= n < sizeof(word) ? n : sizeof(word);
	}
	return h;
}

/* The text of a file, for whoever may see it. */
static int make_text(struct view *w, const struct ssi_proctable_process *p, const struct rfile *f, struct ssi_buf *b)
{
	struct remote_process r = { .s = &w->snap, .p = p, .boot_ms = w->boot_ms };
	int blanks;

	r.family = (struct remote_family){ p->ppid, p->pgrp, p->session, 0, -1 };
	if (p->job)
		local_family(w, p->pid, &r.family);
	f->text(&r, b);
	blanks = (int)f->size - (int)b->len;
	if (blanks > 0 && b->err == 0) {
		b->len--;
		ssi_buf_addf(b, "%*s\n", blanks, "");
	}
	return b->err;
}

/* The time of the last change is one of its own for each text: by that the kernel knows that what it keeps is not what the file says any more. */
static int attr(struct view *w, const struct vnode *v, struct stat *st)
{
	_cleanup_buf_ struct ssi_buf b = SSI_BUF_INIT;
	const struct ssi_proctable_process *p = snapshot_process(&w->snap, v->a);
	const struct rfile *f = is_file(v) && v->name < N_FILES ? &files[v->name] : NULL;
	int r = 0;

	if (!p || (is_file(v) && !f))
		return is_file(v) ? -ESRCH : -ENOENT;
	st->st_uid = p->on_node.uid[1];
	st->st_gid = p->on_node.gid[1];
	st->st_mtim.tv_sec = (time_t)(p->start_ms / 1000);
	st->st_mtim.tv_nsec = (long)(p->start_ms % 1000) * 1000000;
	if (f)
		st->st_mode = f->mode;
	if (f && f->text && (r = make_text(w, p, f, &b)) == 0) {
		st->st_size = (off_t)b.len;
		st->st_mtim.tv_nsec = (long)(mix(MIX_FIRST, b.data, b.len) % 1000000000);
	}
	return r;
}

static int dir_lookup(struct view *w, const struct view_caller *c, const struct vnode *v, const char *name, struct vnode *ret)
{
	const struct ssi_proctable_process *p = snapshot_process(&w->snap, v->a);

	if (v->kind == VIEW_RPID && !strcmp(name, "task")) {
		*ret = (struct vnode){ .kind = VIEW_RTASK, .a = v->a };
		return 0;
	}
	if (!p)
		return -ENOENT;
	if (!is_seen(w, c, p, 1))
		return -EPERM;
	for (uint32_t i = 0; i < N_FILES; i++)
		if (!strcmp(files[i].name, name)) {
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

static int may_read(struct view *w, const struct view_caller *c, const struct vnode *v)
{
	const struct ssi_proctable_process *p = snapshot_process(&w->snap, v->a);

	if (!p || v->name >= N_FILES)
		return -ESRCH;
	if (!files[v->name].text)
		return -EACCES;
	return is_seen(w, c, p, 1) ? 0 : -EPERM;
}

static int text(struct view *w, const struct view_caller *c, const struct vnode *v, struct ssi_buf *b)
{
	int r = may_read(w, c, v);

	return r < 0 ? r : make_text(w, snapshot_process(&w->snap, v->a), &files[v->name], b);
}

uint64_t remote_sum(const struct view *w, const struct ssi_proctable_process *p)
{
	const struct snapshot_node *n = snapshot_node(&w->snap, ssi_proctable_node(&w->snap.table, p)->number);
	struct ssi_proctable_process row = *p;

	row.cmdline = 0;
	return mix(mix(MIX_FIRST ^ (n ? n->first_cpu : 0), &row, sizeof(row)), ssi_proctable_cmdline(&w->snap.table, p), p->cmdline_len);
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
	[VIEW_RPID - VIEW_RPID] = { S_IFDIR | 0555, 1, attr, dir_lookup, dir_list, NULL, NULL },
	[VIEW_RFILE - VIEW_RPID] = { S_IFREG | 0444, 60, attr, NULL, list_refused, link_refused, text },
	[VIEW_RTASK - VIEW_RPID] = { S_IFDIR | 0555, 1, attr, task_lookup, task_list, NULL, NULL },
	[VIEW_RTID - VIEW_RPID] = { S_IFDIR | 0555, 1, attr, dir_lookup, dir_list, NULL, NULL },
	[VIEW_RTID_FILE - VIEW_RPID] = { S_IFREG | 0444, 60, attr, NULL, list_refused, link_refused, text },
};
