/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two files of the daemon, mapped (snapshot.h). A file is looked at by its name, so that a renamed new one is seen. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/path.h"
#include "ssi/view/snapshot.h"

#define LOOK_MS 50
#define FILE_MAX ((off_t)1 << 30)

int snapshot_open(struct snapshot *s, const char *dir, uint32_t local_cpus, uint32_t local_numa)
{
	*s = (struct snapshot){ .dir = strdup(dir), .wanted = -1, .local_cpus = local_cpus, .local_numa = local_numa, .cpus = local_cpus, .numa = local_numa };
	return s->dir ? 0 : -ENOMEM;
}

static void unmap(struct snapshot_map *m)
{
	if (m->p)
		munmap(m->p, m->n);
	*m = (struct snapshot_map){ 0 };
}

void snapshot_close(struct snapshot *s)
{
	unmap(&s->processes);
	unmap(&s->nodes);
	if (s->wanted >= 0)
		close(s->wanted);
	free(s->node);
	free(s->dir);
	*s = (struct snapshot){ .wanted = -1 };
}

/* 1: *ret is a new file; 0: the one that is mapped is still there; -errno. */
static int map(const struct snapshot *s, const char *name, const struct snapshot_map *have, struct snapshot_map *ret)
{
	_cleanup_free_ char *path = ssi_path_join(s->dir, name);
	_cleanup_close_ int fd = -1;
	struct stat st;
	void *p;

	if (!path)
		return -ENOMEM;
	if (stat(path, &st) < 0)
		return -errno;
	if (have->p && st.st_dev == have->dev && st.st_ino == have->ino)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > FILE_MAX)
		return -EBADMSG;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	*ret = (struct snapshot_map){ p, (size_t)st.st_size, st.st_dev, st.st_ino };
	return 1;
}

static void take_processes(struct snapshot *s)
{
	struct snapshot_map m = { 0 };
	int r = map(s, "processes", &s->processes, &m);

	if (r == 0)
		return;
	unmap(&s->processes);
	s->table = (struct ssi_proctable){ 0 };
	s->taken++;
	if (r < 0)
		return;
	s->processes = m;
	if (ssi_proctable_read(m.p, m.n, &s->table, NULL) < 0)
		s->table = (struct ssi_proctable){ 0 };
}

/* The nodes of the mapped file into s->node. */
static void list_nodes(struct snapshot *s)
{
	struct ssi_loadtable t;
	struct snapshot_node n, *all;

	if (ssi_loadtable_open(&t, s->nodes.p, s->nodes.n) < 0)
		return;
	while (ssi_loadtable_next(&t, &n.node, &n.load) == 1) {
		all = reallocarray(s->node, s->n_nodes + 1, sizeof(*all));
		if (!all)
			return;
		s->node = all;
		n.first_cpu = s->cpus;
		n.first_numa = s->numa;
		s->cpus += n.load.shape.n_cpus;
		s->numa += snapshot_numa(&n);
		all[s->n_nodes++] = n;
	}
}

static void take_nodes(struct snapshot *s)
{
	struct snapshot_map m = { 0 };
	int r = map(s, "nodes", &s->nodes, &m);

	if (r == 0)
		return;
	unmap(&s->nodes);
	s->taken++;
	s->n_nodes = 0;
	s->cpus = s->local_cpus;
	s->numa = s->local_numa;
	if (r < 0)
		return;
	s->nodes = m;
	list_nodes(s);
}

/* The daemon writes only for who holds this lock; when it looks at that very moment whether anybody does, the next refresh gets it. */
static void want(struct snapshot *s)
{
	_cleanup_free_ char *path = ssi_path_join(s->dir, "wanted");

	if (!path)
		return;
	s->wanted = open(path, O_RDONLY | O_CLOEXEC);
	if (s->wanted >= 0 && flock(s->wanted, LOCK_SH | LOCK_NB) < 0) {
		close(s->wanted);
		s->wanted = -1;
	}
}

/* A daemon that has started anew has made its own file. */
static int is_gone(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 || st.st_nlink == 0;
}

void snapshot_refresh(struct snapshot *s)
{
	uint64_t now = ssi_clock_mono_ms();

	if (s->checked_ms && now - s->checked_ms < LOOK_MS)
		return;
	s->checked_ms = now;
	if (s->wanted >= 0 && is_gone(s->wanted)) {
		close(s->wanted);
		s->wanted = -1;
	}
	if (s->wanted < 0)
		want(s);
	take_processes(s);
	take_nodes(s);
}

const struct ssi_proctable_process *snapshot_process(const struct snapshot *s, uint32_t pid)
{
	return s->table.head ? ssi_proctable_find(&s->table, pid) : NULL;
}

const struct snapshot_node *snapshot_node(const struct snapshot *s, uint32_t number)
{
	for (size_t i = 0; i < s->n_nodes; i++)
		if (s->node[i].node->number == number)
			return &s->node[i];
	return NULL;
}

const struct snapshot_node *snapshot_node_of_cpu(const struct snapshot *s, uint32_t cpu)
{
	for (size_t i = 0; i < s->n_nodes; i++)
		if (cpu >= s->node[i].first_cpu && cpu - s->node[i].first_cpu < s->node[i].load.shape.n_cpus)
			return &s->node[i];
	return NULL;
}

uint32_t snapshot_cpu(const struct snapshot *s, uint32_t node, uint32_t processor)
{
	const struct snapshot_node *n = snapshot_node(s, node);

	if (!n)
		return 0;
	for (uint32_t i = 0; i < n->load.shape.n_cpus; i++)
		if (n->load.shape.cpus[i].number == processor)
			return n->first_cpu + i;
	return n->first_cpu;
}

uint64_t snapshot_age_ms(const struct snapshot *s)
{
	uint64_t now = ssi_clock_wall_ms(), written = UINT64_MAX;
	struct ssi_loadtable t;

	if (s->table.head)
		written = s->table.head->written_ms;
	if (s->nodes.p && ssi_loadtable_open(&t, s->nodes.p, s->nodes.n) == 0 && t.written_ms < written)
		written = t.written_ms;
	if (written == UINT64_MAX)
		return UINT64_MAX;
	return now > written ? now - written : 0;
}
