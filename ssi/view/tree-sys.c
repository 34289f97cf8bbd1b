/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /sys/devices/system/cpu and node for the system as a whole (/proc/ssi/cpu and node, bound over them): the local processors and NUMA nodes are folders of
 * links to the real ones, those of the nodes are made from the load table.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "ssi/view/view.h"

#define REAL_CPU "/proc/ssi/local-cpu"
#define REAL_NODE "/proc/ssi/local-node"

static const char *const set_names[] = { "online", "possible", "present" };
static const char *const node_set_names[] = { "online", "possible", "has_cpu", "has_memory", "has_normal_memory" };
static const char *const topology_names[] = {
	"core_id", "physical_package_id", "thread_siblings_list", "core_cpus_list", "core_siblings_list", "package_cpus_list", "thread_siblings", "core_cpus",
	"core_siblings", "package_cpus",
};
static const char *const node_names[] = { "cpulist", "cpumap", "meminfo", "distance" };
enum { CORE_ID, PACKAGE_ID, CORE_LIST, CORE_LIST2, PACKAGE_LIST, PACKAGE_LIST2, CORE_MAP, CORE_MAP2, PACKAGE_MAP, PACKAGE_MAP2 };
enum { NODE_LIST, NODE_MAP, NODE_MEMINFO, NODE_DISTANCE };
#define N(a) (sizeof(a) / sizeof(*(a)))

static int find(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(names[i], name))
			return (int)i;
	return -ENOENT;
}

/* "cpu12" with "cpu": 12. */
static bool numbered(const char *name, const char *word, uint32_t *ret)
{
	size_t n = strlen(word);

	if (strncmp(name, word, n) != 0)
		return false;
	if (!strcmp(name + n, "0")) {
		*ret = 0;
		return true;
	}
	return local_number(name + n, ret) == 0;
}

/* The processors of a node of which pick says yes, as a list or as a mask. */
struct pick { const struct snapshot_node *n; const struct ssi_load_cpu *like; uint32_t numa; enum { BY_CORE, BY_PACKAGE, BY_NUMA } by; };

static bool picked(const struct pick *p, uint32_t i)
{
	const struct ssi_load_cpu *c = &p->n->load.shape.cpus[i];

	if (p->by == BY_NUMA)
		return !p->n->load.shape.n_numa || c->numa == p->numa;
	return c->package == p->like->package && (p->by == BY_PACKAGE || c->core == p->like->core);
}

static void add_list(const struct pick *p, struct ssi_buf *b)
{
	uint32_t n = p->n->load.shape.n_cpus, first = p->n->first_cpu;
	const char *comma = "";

	for (uint32_t i = 0, end; i < n; i = end) {
		end = i + 1;
		if (!picked(p, i))
			continue;
		while (end < n && picked(p, end))
			end++;
		ssi_buf_addf(b, end > i + 1 ? "%s%" PRIu32 "-%" PRIu32 : "%s%" PRIu32, comma, first + i, first + end - 1);
		comma = ",";
	}
	ssi_buf_adds(b, "\n");
}

static void add_map(const struct snapshot *s, const struct pick *p, struct ssi_buf *b)
{
	for (uint32_t word = (s->cpus + 31) / 32; word-- > 0;) {
		uint32_t bits = 0;

		for (uint32_t i = 0; i < p->n->load.shape.n_cpus; i++)
			if ((p->n->first_cpu + i) / 32 == word && picked(p, i))
				bits |= 1u << (p->n->first_cpu + i) % 32;
		ssi_buf_addf(b, "%08" PRIx32 "%s", bits, word ? "," : "\n");
	}
}

static int add_set(uint32_t n, struct ssi_buf *b)
{
	return n > 1 ? ssi_buf_addf(b, "0-%" PRIu32 "\n", n - 1) : ssi_buf_adds(b, "0\n");
}

/* --- processors --- */
static int cpus_lookup(struct view *w, const struct view_caller *c, const struct vnode *v, const char *name, struct vnode *ret)
{
	int i = find(set_names, N(set_names), name);
	uint32_t cpu;
	struct stat st;

	if (i >= 0) {
		*ret = (struct vnode){ .kind = VIEW_CPUS_FILE, .name = (uint32_t)i };
		return 0;
	}
	if (numbered(name, "cpu", &cpu) && cpu >= w->snap.local_cpus) {
		*ret = (struct vnode){ .kind = VIEW_CPU, .a = cpu };
		return snapshot_node_of_cpu(&w->snap, cpu) ? 0 : -ENOENT;
	}
	if (w->cpu < 0 || fstatat(w->cpu, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -ENOENT;
	*ret = (struct vnode){ .kind = VIEW_CPUS_LINK };
	if (!numbered(name, "cpu", &cpu))
		return view_name(w, name, &ret->name);
	*ret = (struct vnode){ .kind = VIEW_LCPU, .a = cpu };
	return 0;
}

static int add_cpus(struct view *w, const char *name, struct view_list *ret)
{
	struct vnode v;

	if (cpus_lookup(w, NULL, NULL, name, &v) == 0)
		view_add(ret, name, view_ops(&v)->mode, v);
	return 0;
}

static int cpus_list(struct view *w, const struct view_caller *c, const struct vnode *v, struct view_list *ret)
{
	char name[32];
	int r = w->cpu < 0 ? 0 : local_names(w->cpu, ".", w, ret, add_cpus);

	for (uint32_t i = w->snap.local_cpus, n = local_only(w, c) ? 0 : w->snap.cpus; r == 0 && i < n; i++) {
		snprintf(name, sizeof(name), "cpu%" PRIu32, i);
		view_add(ret, name, S_IFDIR, (struct vnode){ .kind = VIEW_CPU, .a = i });
	}
	return r;
}

static int cpus_text(struct view *w, const struct view_caller *c, const struct vnode *v, struct ssi_buf *b)
{
	return add_set(local_only(w, c) ? w->snap.local_cpus : w->snap.cpus, b);
}

static int cpus_link(struct view *w, const struct view_caller *c, const struct vnode *v, char *buf, size_t n)
{
	if (v->kind == VIEW_LCPU_LINK)
		snprintf(buf, n, REAL_CPU "/cpu%" PRIu32 "/%s", v->a, view_named(w, v->name));
	else
		snprintf(buf, n, "%s/%s", v->kind == VIEW_CPUS_LINK ? REAL_CPU : REAL_NODE, view_named(w, v->name));
	return 0;
}

static int add_link(struct view *w, const char *name, struct view_list *ret)
{
	uint32_t number;
	int r = view_name(w, name, &number);

	if (r == 0)
		view_add(ret, name, S_IFLNK, (struct vnode){ .kind = VIEW_LCPU_LINK, .name = number });
	return r;
}

static int lcpu_list(struct view *w, const struct view_caller *c, const struct vnode *v, struct view_list *ret)
{
	char path[16];
	int r;

	snprintf(path, sizeof(path), "cpu%" PRIu32, v->a);
	r = local_names(w->cpu, path, w, ret, add_link);
	for (size_t i = 0; i < ret->n; i++)
		ret->e[i].v.a = v->a;
	return r;
}

static int lcpu_lookup(struct view *w, const struct view_caller *c, const struct vnode *v, const char *name, struct vnode *ret)
{
	struct stat st;
	char path[128];

	if (snprintf(path, sizeof(path), "cpu%" PRIu32 "/%s", v->a, name) >= (int)sizeof(path) || fstatat(w->cpu, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -ENOENT;
	*ret = (struct vnode){ .kind = VIEW_LCPU_LINK, .a = v->a };
	return view_name(w, name, &ret->name);
}

static int cpu_lookup(struct view *w, const struct view_caller *c, const struct vnode *v, const char *name, struct vnode *ret)
{
	int i;

	if (v->kind == VIEW_CPU) {
		*ret = (struct vnode){ .kind = !strcmp(name, "topology") ? VIEW_TOPOLOGY : VIEW_CPU_FILE, .a = v->a };
		return ret->kind == VIEW_TOPOLOGY || !strcmp(name, "online") ? 0 : -ENOENT;
	}
	i = find(topology_names, N(topology_names), name);
	*ret = (struct vnode){ .kind = VIEW_TOPOLOGY_FILE, .a = v->a, .name = (uint32_t)i };
	return i < 0 ? i : 0;
}

static int cpu_list(struct view *w, const struct view_caller *c, const struct vnode *v, struct view_list *ret)
{
	if (v->kind == VIEW_CPU) {
		view_add(ret, "topology", S_IFDIR, (struct vnode){ .kind = VIEW_TOPOLOGY, .a = v->a });
		view_add(ret, "online", S_IFREG, (struct vnode){ .kind = VIEW_CPU_FILE, .a = v->a });
		return 0;
	}
	for (uint32_t i = 0; i < N(topology_names); i++)
		view_add(ret, topology_names[i], S_IFREG, (struct vnode){ .kind = VIEW_TOPOLOGY_FILE, .a = v->a, .name = i });
	return 0;
}

static int cpu_text(struct view *w, const struct view_caller *c, const struct vnode *v, struct ssi_buf *b)
{
	return ssi_buf_adds(b, "1\n");
}

static int topology_text(struct view *w, const struct view_caller *c, const struct vnode *v, struct ssi_buf *b)
{
	const struct snapshot_node *n = snapshot_node_of_cpu(&w->snap, v->a);
	struct pick p;

	if (!n || v->name >= N(topology_names))
		return -ENOENT;
	p = (struct pick){ .n = n, .like = &n->load.shape.cpus[v->a - n->first_cpu] };
	p.by = v->name == PACKAGE_LIST || v->name == PACKAGE_LIST2 || v->name >= PACKAGE_MAP ? BY_PACKAGE : BY_CORE;
	if (v->name == CORE_ID)
		ssi_buf_addf(b, "%" PRIu32 "\n", p.like->core);
	else if (v->name == PACKAGE_ID)
		ssi_buf_addf(b, "%" PRIu32 "\n", n->first_cpu + p.like->package);
	else if (v->name >= CORE_MAP)
		add_map(&w->snap, &p, b);
	else
		add_list(&p, b);
	return b->err;
}

/* --- NUMA nodes --- */
static const struct snapshot_node *node_of_numa(const struct snapshot *s, uint32_t numa)
{
	for (size_t i = 0; i < s->n_nodes; i++)
		if (numa >= s->node[i].first_numa && numa - s->node[i].first_numa < snapshot_numa(&s->node[i]))
			return &s->node[i];
	return NULL;
}

static int nodes_lookup(struct view *w, const struct view_caller *c, const struct vnode *v, const char *name, struct vnode *ret)
{
	int i = find(node_set_names, N(node_set_names), name);
	struct stat st;
	uint32_t numa;

	if (i >= 0) {
		*ret = (struct vnode){ .kind = VIEW_NODES_FILE, .name = (uint32_t)i };
		return 0;
	}
	if (numbered(name, "node", &numa) && numa >= w->snap.local_numa) {
		*ret = (struct vnode){ .kind = VIEW_NODE, .a = numa };
		return node_of_numa(&w->snap, numa) ? 0 : -ENOENT;
	}
	if (w->node < 0 || fstatat(w->node, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -ENOENT;
	*ret = (struct vnode){ .kind = VIEW_NODES_LINK };
	return view_name(w, name, &ret->name);
}

/* lscpu passes over a node whose entry is said to be a link, and looks at one of which nothing is said. */
static int add_nodes(struct view *w, const char *name, struct view_list *ret)
{
	struct vnode v;
	uint32_t numa;

	if (nodes_lookup(w, NULL, NULL, name, &v) == 0)
		view_add(ret, name, numbered(name, "node", &numa) ? 0 : view_ops(&v)->mode, v);
	return 0;
}

static int nodes_list(struct view *w, const struct view_caller *c, const struct vnode *v, struct view_list *ret)
{
	char name[32];
	int r = w->node < 0 ? 0 : local_names(w->node, ".", w, ret, add_nodes);

	for (uint32_t i = w->snap.local_numa, n = local_only(w, c) ? 0 : w->snap.numa; r == 0 && i < n; i++) {
		snprintf(name, sizeof(name), "node%" PRIu32, i);
		view_add(ret, name, S_IFDIR, (struct vnode){ .kind = VIEW_NODE, .a = i });
	}
	return r;
}

static int nodes_text(struct view *w, const struct view_caller *c, const struct vnode *v, struct ssi_buf *b)
{
	return add_set(local_only(w, c) ? w->snap.local_numa : w->snap.numa, b);
}

static int node_lookup(struct view *w, const struct view_caller *c, const struct vnode *v, const char *name, struct vnode *ret)
{
	int i = find(node_names, N(node_names), name);

	*ret = (struct vnode){ .kind = VIEW_NODE_FILE, .a = v->a, .name = (uint32_t)i };
	return i < 0 ? i : 0;
}

static int node_list(struct view *w, const struct view_caller *c, const struct vnode *v, struct view_list *ret)
{
	for (uint32_t i = 0; i < N(node_names); i++)
		view_add(ret, node_names[i], S_IFREG, (struct vnode){ .kind = VIEW_NODE_FILE, .a = v->a, .name = i });
	return 0;
}

/* How much of its memory is free a node says as a whole. */
static void add_meminfo(const struct snapshot_node *n, uint32_t number, uint64_t total, struct ssi_buf *b)
{
	uint64_t all = n->load.values[SSI_LOAD_MEM_TOTAL], kib = all ? (uint64_t)((double)n->load.values[SSI_LOAD_MEM_FREE] / (double)all * (double)total) : 0;

	ssi_buf_addf(b, "Node %" PRIu32 " MemTotal:       %8" PRIu64 " kB\nNode %" PRIu32 " MemFree:        %8" PRIu64 " kB\nNode %" PRIu32
		" MemUsed:        %8" PRIu64 " kB\n", number, total, number, kib, number, total > kib ? total - kib : 0);
}

static int node_text(struct view *w, const struct view_caller *c, const struct vnode *v, struct ssi_buf *b)
{
	const struct snapshot_node *n = node_of_numa(&w->snap, v->a);
	const struct ssi_load_numa *numa;
	struct pick p = { .n = n, .by = BY_NUMA };

	if (!n)
		return -ENOENT;
	numa = n->load.shape.n_numa ? &n->load.shape.numa[v->a - n->first_numa] : NULL;
	p.numa = numa ? numa->number : 0;
	if (v->name == NODE_LIST)
		add_list(&p, b);
	else if (v->name == NODE_MAP)
		add_map(&w->snap, &p, b);
	else if (v->name == NODE_MEMINFO)
		add_meminfo(n, v->a, numa ? numa->memory : n->load.values[SSI_LOAD_MEM_TOTAL], b);
	else
		for (uint32_t i = 0; i < w->snap.numa; i++)
			ssi_buf_addf(b, "%s%s", i == v->a ? "10" : node_of_numa(&w->snap, i) == n ? "20" : "255", i + 1 < w->snap.numa ? " " : "\n");
	return b->err;
}

#define DIR_OPS(lookup, list) { S_IFDIR | 0555, 1, NULL, lookup, list, NULL, NULL }
#define FILE_OPS(text) { S_IFREG | 0444, 1, NULL, NULL, NULL, NULL, text }
#define LINK_OPS(link) { S_IFLNK | 0777, 1, NULL, NULL, NULL, link, NULL }
const struct view_ops view_sys_ops[] = {
	[VIEW_CPUS - VIEW_CPUS] = DIR_OPS(cpus_lookup, cpus_list), [VIEW_CPUS_FILE - VIEW_CPUS] = FILE_OPS(cpus_text),
	[VIEW_CPUS_LINK - VIEW_CPUS] = LINK_OPS(cpus_link), [VIEW_LCPU - VIEW_CPUS] = DIR_OPS(lcpu_lookup, lcpu_list),
	[VIEW_LCPU_LINK - VIEW_CPUS] = LINK_OPS(cpus_link), [VIEW_CPU - VIEW_CPUS] = DIR_OPS(cpu_lookup, cpu_list),
	[VIEW_CPU_FILE - VIEW_CPUS] = FILE_OPS(cpu_text), [VIEW_TOPOLOGY - VIEW_CPUS] = DIR_OPS(cpu_lookup, cpu_list),
	[VIEW_TOPOLOGY_FILE - VIEW_CPUS] = FILE_OPS(topology_text), [VIEW_NODES - VIEW_CPUS] = DIR_OPS(nodes_lookup, nodes_list),
	[VIEW_NODES_FILE - VIEW_CPUS] = FILE_OPS(nodes_text), [VIEW_NODES_LINK - VIEW_CPUS] = LINK_OPS(cpus_link),
	[VIEW_NODE - VIEW_CPUS] = DIR_OPS(node_lookup, node_list), [VIEW_NODE_FILE - VIEW_CPUS] = FILE_OPS(node_text),
};
