/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /proc itself: processes, /proc/ssi with the files that are merged, links to these, and links into the real /proc for all else. A link there costs nothing
 * when it is followed, and the kernel asks for the rights of who follows it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "ssi/view/merge.h"
#include "ssi/view/view.h"

static const struct merged {
	const char *name, *local;
	void (*merge)(const struct snapshot *s, const char *local, struct ssi_buf *b);
} merged[] = {
	{ "stat", "stat", merge_stat }, { "cpuinfo", "cpuinfo", merge_cpuinfo }, { "meminfo", "meminfo", merge_meminfo },
	{ "loadavg", "loadavg", merge_loadavg }, { "uptime", "uptime", merge_uptime }, { "diskstats", "diskstats", merge_diskstats },
	{ "vmstat", "vmstat", merge_vmstat }, { "net-dev", NULL, merge_netdev },
};
enum { N_MERGED = sizeof(merged) / sizeof(*merged), NET_DEV = N_MERGED - 1 };

/* Beside what is merged. */
static const struct { const char *name; enum view_kind kind; } ssi_dir[] = {
	{ "age", VIEW_AGE }, { "cpu", VIEW_CPUS }, { "node", VIEW_NODES }, { "local", VIEW_MOUNT }, { "local-cpu", VIEW_MOUNT }, { "local-node", VIEW_MOUNT },
};

static int merged_named(const char *name)
{
	for (int i = 0; i < N_MERGED; i++)
		if (!strcmp(merged[i].name, name))
			return i;
	return -ENOENT;
}

/* A name of the real /proc that is no process. */
static int top_vnode(struct view *w, const char *name, struct vnode *ret, mode_t *type)
{
	uint32_t number;
	int r;

	*type = S_IFLNK;
	if (!strcmp(name, "self") || !strcmp(name, "thread-self"))
		*ret = (struct vnode){ .kind = *name == 's' ? VIEW_SELF : VIEW_THREAD_SELF };
	else if (!strcmp(name, "net"))
		*ret = (struct vnode){ .kind = VIEW_NET }, *type = S_IFDIR;
	else if (!strcmp(name, "sys"))           /* sysctl wants it to be where it is: session.c mounts the real one on it */
		*ret = (struct vnode){ .kind = VIEW_MOUNT, .name = sizeof(ssi_dir) / sizeof(*ssi_dir) }, *type = S_IFDIR;
	else if ((r = view_name(w, name, &number)) < 0)
		return r;
	else
		*ret = (struct vnode){ .kind = VIEW_TOP, .name = number };
	return 0;
}

static int root_lookup(struct view *w, const struct view_caller *c, const struct vnode *v, const char *name, struct vnode *ret)
{
	struct stat st;
	uint32_t pid;
	mode_t type;

	if (!strcmp(name, "ssi")) {
		*ret = (struct vnode){ .kind = VIEW_SSI };
		return 0;
	}
	if (local_number(name, &pid) == 0) {
		if (remote_lookup_pid(w, c, pid, ret) == 0)
			return 0;
		if (fstatat(w->proc, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !local_may_see(w, c, st.st_uid, 2))
			return -ENOENT;
		*ret = (struct vnode){ .kind = VIEW_PID, .a = pid };
		return 0;
	}
	if (fstatat(w->proc, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -ENOENT;
	return top_vnode(w, name, ret, &type);
}

static int add_top(struct view *w, const char *name, struct view_list *ret)
{
	struct vnode v;
	mode_t type;
	int r = 0;
	uint32_t pid;

	if (local_number(name, &pid) == 0)
		view_add(ret, name, S_IFDIR, (struct vnode){ .kind = VIEW_PID, .a = pid });
	else if ((r = top_vnode(w, name, &v, &type)) == 0)
		view_add(ret, name, type, v);
	return r;
}

/* Leave out what the caller may not see, and the deputies of jobs that the nodes tell of. */
static void sift(struct view *w, const struct view_caller *c, struct view_list *l)
{
	size_t n = 0;
	struct stat st;

	for (size_t i = 0; i < l->n; i++) {
		const struct view_entry *e = &l->e[i];

		if (e->v.kind == VIEW_PID && (snapshot_process(&w->snap, e->v.a) || fstatat(w->proc, e->name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
					       !local_may_see(w, c, st.st_uid, 2)))
			continue;
		l->e[n++] = *e;
	}
	l->n = n;
}

static int root_list(struct view *w, const struct view_caller *c, const struct vnode *v, struct view_list *ret)
{
	int r = local_names(w->proc, ".", w, ret, add_top);

	if (r < 0)
		return r;
	view_add(ret, "ssi", S_IFDIR, (struct vnode){ .kind = VIEW_SSI });
	if (!local_only(w, c)) {
		sift(w, c, ret);
		remote_list_pids(w, c, ret);
	}
	return 0;
}

static int top_link(struct view *w, const struct view_caller *c, const struct vnode *v, char *buf, size_t n)
{
	const char *name = view_named(w, v->name);

	snprintf(buf, n, merged_named(name) >= 0 ? "ssi/%s" : "ssi/local/%s", name);
	return 0;
}

/* A deputy's own number shows its job; to itself it is what it is. */
static int self_link(struct view *w, const struct view_caller *c, const struct vnode *v, char *buf, size_t n)
{
	const char *real;
	pid_t tgid;
	int r = local_tgid(w, c->pid, &tgid);

	if (r < 0)
		return r;
	real = snapshot_process(&w->snap, (uint32_t)tgid) ? "ssi/local/" : "";
	if (v->kind == VIEW_SELF)
		snprintf(buf, n, "%s%d", real, tgid);
	else
		snprintf(buf, n, "%s%d/task/%d", real, tgid, c->pid);
	return 0;
}

static int merged_text(struct view *w, const struct view_caller *c, const struct vnode *v, struct ssi_buf *b)
{
	_cleanup_buf_ struct ssi_buf local = SSI_BUF_INIT;
	char path[32];
	int r;

	if (v->name >= N_MERGED)
		return -ENOENT;
	/* Interfaces are those that the caller sees. */
	if (v->name == NET_DEV)
		snprintf(path, sizeof(path), "%d/net/dev", c->pid);
	else
		snprintf(path, sizeof(path), "%s", merged[v->name].local);
	r = local_read(w, path, &local);
	if (r < 0 || local_only(w, c))
		return r < 0 ? r : ssi_buf_add(b, local.data, local.len);
	merged[v->name].merge(&w->snap, local.data ? local.data : "", b);
	return b->err;
}

static int net_lookup(struct view *w, const struct view_caller *c, const struct vnode *v, const char *name, struct vnode *ret)
{
	char path[300];
	struct stat st;

	/* Only what there is gets a number: there are few, and they are never given back. add_net, without a caller, has it from the folder. */
	if (c && (snprintf(path, sizeof(path), "%d/net/%s", c->pid, name) >= (int)sizeof(path) || fstatat(w->proc, path, &st, AT_SYMLINK_NOFOLLOW) < 0))
		return -ENOENT;
	*ret = (struct vnode){ .kind = VIEW_NET_LINK };
	return view_name(w, name, &ret->name);
}

static int add_net(struct view *w, const char *name, struct view_list *ret)
{
	struct vnode v;
	int r = net_lookup(w, NULL, NULL, name, &v);

	if (r == 0)
		view_add(ret, name, S_IFLNK, v);
	return r;
}

static int net_list(struct view *w, const struct view_caller *c, const struct vnode *v, struct view_list *ret)
{
	char path[32];

	snprintf(path, sizeof(path), "%d/net", c->pid);
	return local_names(w->proc, path, w, ret, add_net);
}

static int net_link(struct view *w, const struct view_caller *c, const struct vnode *v, char *buf, size_t n)
{
	const char *name = view_named(w, v->name);

	if (!strcmp(name, "dev"))
		snprintf(buf, n, "../ssi/%s", merged[NET_DEV].name);
	else
		snprintf(buf, n, "../ssi/local/self/net/%s", name);
	return 0;
}

static int ssi_lookup(struct view *w, const struct view_caller *c, const struct vnode *v, const char *name, struct vnode *ret)
{
	for (uint32_t i = 0; i < sizeof(ssi_dir) / sizeof(*ssi_dir); i++)
		if (!strcmp(ssi_dir[i].name, name)) {
			*ret = (struct vnode){ .kind = ssi_dir[i].kind, .name = ssi_dir[i].kind == VIEW_MOUNT ? i : 0 };
			return 0;
		}
	*ret = (struct vnode){ .kind = VIEW_MERGED, .name = (uint32_t)merged_named(name) };
	return merged_named(name) < 0 ? -ENOENT : 0;
}

static int ssi_list(struct view *w, const struct view_caller *c, const struct vnode *v, struct view_list *ret)
{
	struct vnode to;

	for (size_t i = 0; i < sizeof(ssi_dir) / sizeof(*ssi_dir); i++)
		if (ssi_lookup(w, c, v, ssi_dir[i].name, &to) == 0)
			view_add(ret, ssi_dir[i].name, view_ops(&to)->mode, to);
	for (uint32_t i = 0; i < N_MERGED; i++)
		view_add(ret, merged[i].name, S_IFREG, (struct vnode){ .kind = VIEW_MERGED, .name = i });
	return 0;
}

static int none_lookup(struct view *w, const struct view_caller *c, const struct vnode *v, const char *name, struct vnode *ret)
{
	return -ENOENT;
}

static int none_list(struct view *w, const struct view_caller *c, const struct vnode *v, struct view_list *ret)
{
	return 0;
}

/* How old what is shown of the nodes is, in milliseconds; "-": nothing is known. */
static int age_text(struct view *w, const struct view_caller *c, const struct vnode *v, struct ssi_buf *b)
{
	uint64_t age = snapshot_age_ms(&w->snap);

	return age == UINT64_MAX ? ssi_buf_adds(b, "-\n") : ssi_buf_addf(b, "%" PRIu64 "\n", age);
}

const struct view_ops view_root_ops[] = {
	[VIEW_ROOT] = { S_IFDIR | 0555, 1, NULL, root_lookup, root_list, NULL, NULL },
	[VIEW_TOP] = { S_IFLNK | 0777, 1, NULL, NULL, NULL, top_link, NULL },
	[VIEW_SELF] = { S_IFLNK | 0777, 1, NULL, NULL, NULL, self_link, NULL },
	[VIEW_THREAD_SELF] = { S_IFLNK | 0777, 1, NULL, NULL, NULL, self_link, NULL },
	[VIEW_MERGED] = { S_IFREG | 0444, 1, NULL, NULL, NULL, NULL, merged_text },
	[VIEW_NET] = { S_IFDIR | 0555, 1, NULL, net_lookup, net_list, NULL, NULL },
	[VIEW_NET_LINK] = { S_IFLNK | 0777, 1, NULL, NULL, NULL, net_link, NULL },
	[VIEW_SSI] = { S_IFDIR | 0555, 1, NULL, ssi_lookup, ssi_list, NULL, NULL },
	[VIEW_MOUNT] = { S_IFDIR | 0555, 1, NULL, none_lookup, none_list, NULL, NULL },
	[VIEW_AGE] = { S_IFREG | 0444, 1, NULL, NULL, NULL, NULL, age_text },
};
