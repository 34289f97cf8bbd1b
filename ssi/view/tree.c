/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What all places of the tree share: their numbers, their attributes, their lists. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libssi/base/clock.h"
#include "ssi/view/view.h"

/* The numbers of an inode: kind 8 bits, a 22, b 22, name 12. FUSE wants 1 for the root: so all are one higher. */
uint64_t view_ino(const struct vnode *v)
{
	return ((uint64_t)v->kind << 56 | (uint64_t)v->a << 34 | (uint64_t)v->b << 12 | v->name) + 1;
}

struct vnode view_vnode(uint64_t ino)
{
	ino -= 1;
	return (struct vnode){ (enum view_kind)(ino >> 56), ino >> 34 & VIEW_NUMBER_MAX, ino >> 12 & VIEW_NUMBER_MAX, ino & 0xfff };
}

const struct view_ops *view_ops(const struct vnode *v)
{
	static const struct view_ops none = { .mode = S_IFREG };

	if (v->kind < VIEW_PID)
		return &view_root_ops[v->kind];
	if (v->kind < VIEW_RPID)
		return &view_local_ops[v->kind - VIEW_PID];
	if (v->kind < VIEW_CPUS)
		return &view_remote_ops[v->kind - VIEW_RPID];
	return v->kind < VIEW_KINDS ? &view_sys_ops[v->kind - VIEW_CPUS] : &none;
}

int view_attr(struct view *w, const struct vnode *v, struct stat *st)
{
	const struct view_ops *o = view_ops(v);
	uint64_t now = ssi_clock_wall_ms();

	*st = (struct stat){ .st_ino = view_ino(v), .st_mode = o->mode, .st_nlink = S_ISDIR(o->mode) ? 2 : 1, .st_blksize = 4096 };
	st->st_mtim.tv_sec = (time_t)(now / 1000);
	st->st_mtim.tv_nsec = (long)(now % 1000) * 1000000;
	st->st_atim = st->st_ctim = st->st_mtim;
	return o->attr ? o->attr(w, v, st) : 0;
}

static bool is_remote_file(const struct vnode *v)
{
	return v->kind == VIEW_RFILE || v->kind == VIEW_RTID_FILE;
}

/*
 * A remote process is as it was told until the next table comes; its files' names stay. Where not everybody may see it, the kernel has to ask each time.
 */
double view_seconds(const struct view *w, const struct vnode *v)
{
	uint64_t now = ssi_clock_wall_ms(), due;

	if (v->kind < VIEW_RPID || v->kind > VIEW_RTID_FILE)
		return view_ops(v)->seconds;
	if (w->hide)
		return 0;
	if (is_remote_file(v) || !w->snap.table.head)
		return view_ops(v)->seconds;
	due = w->snap.table.head->written_ms + 1000;
	return due > now + 500 && due <= now + 1000 ? (double)(due - now) / 1000 : 0.5;
}

/* Of a file of a remote process the kernel is told when it is another (told.h); not of a job's, whose parent and terminal are local, and not of a thread's. */
double view_attr_seconds(const struct view *w, const struct vnode *v)
{
	const struct ssi_proctable_process *p = is_remote_file(v) ? snapshot_process(&w->snap, v->a) : NULL;

	if (is_remote_file(v) && (v->kind == VIEW_RTID_FILE || !p || p->job))
		return 0;
	return view_seconds(w, v);
}

void view_add(struct view_list *l, const char *name, mode_t type, struct vnode v)
{
	struct view_entry *e;

	if (l->err || strlen(name) >= sizeof(e->name))
		return;
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 64;

		e = reallocarray(l->e, cap, sizeof(*e));
		if (!e) {
			l->err = -ENOMEM;
			return;
		}
		l->e = e;
		l->cap = cap;
	}
	e = &l->e[l->n++];
	e->v = v;
	e->type = type & S_IFMT;
	strcpy(e->name, name);
}

static int count_names(struct view *w, const char *name, struct view_list *ret)
{
	const char *digits = name + strcspn(name, "0123456789");

	ret->n += digits > name && *digits && !digits[strspn(digits, "0123456789")];
	return 0;
}

int view_open(struct view *w, const char *dir)
{
	struct view_list numa = { 0 };
	long cpus;

	*w = (struct view){ .cpu = -1, .node = -1, .boot_ms = ssi_clock_wall_ms() - ssi_clock_boot_ms() };
	w->snap.wanted = -1;
	w->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (w->proc < 0)
		return -errno;
	w->cpu = open("/sys/devices/system/cpu", O_PATH | O_DIRECTORY | O_CLOEXEC);
	w->node = open("/sys/devices/system/node", O_PATH | O_DIRECTORY | O_CLOEXEC);
	cpus = sysconf(_SC_NPROCESSORS_CONF);
	if (w->node >= 0)
		local_names(w->node, ".", w, &numa, count_names);
	return snapshot_open(&w->snap, dir, cpus > 0 ? (uint32_t)cpus : 1, numa.n ? (uint32_t)numa.n : 1);
}

void view_close(struct view *w)
{
	snapshot_close(&w->snap);
	view_names_free(&w->names);
	for (int *fd = (int[]){ w->proc, w->cpu, w->node }, i = 0; i < 3; i++)
		if (fd[i] >= 0)
			close(fd[i]);
}
