/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns what the master was told of this node's processes. Called by the agent, each second. */
#include "ssi/procspace/procs-node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/base/cleanup.h"
#include "ssi/procspace/procs-use.h"
#include "ssi/procspace/procspace.pb-c.h"

#define TOLD_ROOM 1024                   /* bytes of a message that are kept for what is in every one */
#define TOLD_PROCESS 200                 /* at most so many has a process, without its command line */
#define TOLD_USE 64                      /* and so many the use of a new one, as a rule */
#define TOLD_GONE_MAX 4096               /* ends in a message */

struct told { struct ssi_process p; uint64_t cmdline; };     /* a digest of the command line */

struct ssi_procs_told {
	struct told *have, *next;        /* by pid; next: the list that a message makes */
	size_t n, n_next, cap;
	bool anew, complete;             /* the next message begins anew; since then there was one with which all was told */
	uint32_t turn;                   /* the pid whose use is told first */
};

/* One message while it is made. */
struct telling {
	struct ssi_procs_told *t;
	Ssi__Procspace__Processes m;
	Ssi__Procspace__Process **born;
	size_t n_born;
	uint32_t *gone;
	size_t n_gone, room;
	bool more;
};

struct ssi_procs_told *ssi_procs_told_new(void)
{
	struct ssi_procs_told *t = calloc(1, sizeof(*t));

	if (t)
		t->anew = true;
	return t;
}

void ssi_procs_told_free(struct ssi_procs_told *t)
{
	if (!t)
		return;
	free(t->have);
	free(t->next);
	free(t);
}

void ssi_procs_told_anew(struct ssi_procs_told *t)
{
	t->n = 0;
	t->anew = true;
	t->complete = false;
}

static uint64_t digest(const char *s, size_t n)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
	return h;
}

/* p with the use that was told of it, or none: what a birth tells beside. */
static struct ssi_process identity(const struct ssi_process *p, const struct ssi_process *use)
{
	static const struct ssi_process none;
	struct ssi_process q = *p;

	for (unsigned i = 0; i < SSI_USES; i++)
		ssi_procs_use_set(&q, i, ssi_procs_use_get(use ?: &none, i));
	return q;
}

static size_t ids(const uint32_t id[4])
{
	return id[1] == id[0] && id[2] == id[0] && id[3] == id[0] ? 1 : 4;
}

static void fill(Ssi__Procspace__Process *m, const struct ssi_procs_seen *s, bool same_cmdline)
{
	const struct ssi_process *p = &s->p;

	ssi__procspace__process__init(m);
	m->pid = p->pid;
	m->ppid = p->ppid;
	m->pgrp = p->pgrp;
	m->session = p->session;
	m->tty = p->tty;
	m->tpgid = p->tpgid;
	m->flags = p->flags;
	m->uid = (uint32_t *)p->uid;
	m->n_uid = ids(p->uid);
	m->gid = (uint32_t *)p->gid;
	m->n_gid = ids(p->gid);
	m->priority = p->priority;
	m->nice = p->nice;
	m->rt_priority = p->rt_priority;
	m->policy = p->policy;
	m->job_pid = p->job_pid;
	m->start = p->start;
	m->blocked = p->blocked;
	m->ignored = p->ignored;
	m->caught = p->caught;
	m->comm = (ProtobufCBinaryData){ strnlen(p->comm, sizeof(p->comm) - 1), (uint8_t *)p->comm };
	m->same_cmdline = same_cmdline;
	if (!same_cmdline)
		m->cmdline = (ProtobufCBinaryData){ s->cmdline_len, (uint8_t *)s->cmdline };
}

/* The list of what is told has room for all that is seen. */
static int grow(struct ssi_procs_told *t, size_t n)
{
	struct told *next;

	if (n > t->cap) {
		size_t cap = n + n / 4 + 64;
		struct told *have = reallocarray(t->have, cap, sizeof(*have));

		if (!have)
			return -ENOMEM;
		t->have = have;
		next = reallocarray(t->next, cap, sizeof(*next));
		if (!next)
			return -ENOMEM;
		t->next = next;
		t->cap = cap;
	}
	return 0;
}

/* Tell of a process; false: there is no room, another time. */
static bool bear(struct telling *x, const struct ssi_procs_seen *s, const struct told *was, uint64_t cmdline)
{
	bool same = was && was->cmdline == cmdline;
	size_t size = TOLD_PROCESS + TOLD_USE + (same ? 0 : s->cmdline_len);
	Ssi__Procspace__Process *m;

	if (size > x->room)
		return false;
	m = malloc(sizeof(*m));
	if (!m)
		return false;
	fill(m, s, same);
	x->room -= size;
	x->born[x->n_born++] = m;
	x->t->next[x->t->n_next++] = (struct told){ identity(&s->p, was ? &was->p : NULL), cmdline };
	return true;
}

static void keep(struct telling *x, const struct told *was)
{
	if (was)
		x->t->next[x->t->n_next++] = *was;
}

/* One process that there is; was: what was told of it, or NULL. */
static void tell_one(struct telling *x, const struct ssi_procs_seen *s, const struct told *was)
{
	uint64_t cmdline = digest(s->cmdline, s->cmdline_len);
	struct ssi_process now;

	if (was && was->p.start != s->p.start)
		was = NULL;                      /* another one by this number: it takes the place */
	now = identity(&s->p, was ? &was->p : NULL);
	if (was && was->cmdline == cmdline && !memcmp(&now, &was->p, sizeof(now)))
		keep(x, was);
	else if (!bear(x, s, was, cmdline)) {
		x->more = true;
		keep(x, was);
	}
}

static void tell_gone(struct telling *x, const struct told *was)
{
	if (x->n_gone == TOLD_GONE_MAX || x->room < 8) {
		x->more = true;
		keep(x, was);
		return;
	}
	x->gone[x->n_gone++] = was->p.pid;
	x->room -= 5;
}

/* Walk what is and what was told, both by pid. */
static void tell_changes(struct telling *x, const struct ssi_procs_seen *seen, size_t n)
{
	struct ssi_procs_told *t = x->t;
	size_t at = 0;

	t->n_next = 0;
	for (size_t i = 0; i < n; i++) {
		while (at < t->n && t->have[at].p.pid < seen[i].p.pid)
			tell_gone(x, &t->have[at++]);
		tell_one(x, &seen[i], at < t->n && t->have[at].p.pid == seen[i].p.pid ? &t->have[at++] : NULL);
	}
	while (at < t->n)
		tell_gone(x, &t->have[at++]);
}

static void take_next(struct ssi_procs_told *t)
{
	struct told *old = t->have;

	t->have = t->next;
	t->n = t->n_next;
	t->next = old;
}

/* The row of one process into at, if its use is another than was told; how many numbers. */
static size_t use_row(struct told *was, const struct ssi_process *now, uint32_t last, uint64_t *at)
{
	uint64_t mask = 0;
	size_t n = 2;

	for (unsigned i = 0; i < SSI_USES; i++) {
		uint64_t is = ssi_procs_use_get(now, i), had = ssi_procs_use_get(&was->p, i);

		if (is == had)
			continue;
		mask |= 1u << i;
		at[n++] = ssi_procs_zigzag(is - had);
	}
	if (!mask)
		return 0;
	at[0] = now->pid - last;
	at[1] = mask;
	return n;
}

static size_t varint(uint64_t v)
{
	size_t n = 1;

	while (v >>= 7)
		n++;
	return n;
}

/* From the place whose turn it is to the end of the list, or of the room. The places before are there in the next message. */
static void tell_use(struct telling *x, const struct ssi_procs_seen *seen, size_t n, uint64_t *use, size_t left)
{
	struct ssi_procs_told *t = x->t;
	size_t at = 0;
	uint32_t last = 0;
	uint32_t from = t->turn;

	t->turn = 0;
	for (size_t i = 0; i < n; i++) {
		size_t k, size = 0;

		while (at < t->n && t->have[at].p.pid < seen[i].p.pid)
			at++;
		if (at == t->n || t->have[at].p.pid != seen[i].p.pid || t->have[at].p.start != seen[i].p.start || seen[i].p.pid < from)
			continue;
		k = use_row(&t->have[at], &seen[i].p, last, use + x->m.n_use);
		for (size_t j = 0; j < k; j++)
			size += varint(use[x->m.n_use + j]);
		if (size > left) {
			t->turn = seen[i].p.pid;
			break;
		}
		if (!k)
			continue;
		for (unsigned f = 0; f < SSI_USES; f++)
			ssi_procs_use_set(&t->have[at].p, f, ssi_procs_use_get(&seen[i].p, f));
		last = seen[i].p.pid;
		left -= size;
		x->m.n_use += k;
	}
	x->m.use = use;
}

static int pack(struct telling *x, struct ssi_buf *ret)
{
	size_t n;
	char *to;

	x->m.processes = x->born;
	x->m.n_processes = x->n_born;
	x->m.gone = x->gone;
	x->m.n_gone = x->n_gone;
	n = ssi__procspace__processes__get_packed_size(&x->m);
	to = ssi_buf_reserve(ret, n);
	if (!to)
		return -ENOMEM;
	ret->len += ssi__procspace__processes__pack(&x->m, (uint8_t *)to);
	return 0;
}

int ssi_procs_tell(struct ssi_procs_told *t, const struct ssi_procs_seen *seen, size_t n, uint64_t boot_ms, struct ssi_buf *ret)
{
	struct telling x = { .t = t, .room = SSI_PROCS_MESSAGE_MAX - SSI_PROCS_USE_MAX - TOLD_ROOM };
	_cleanup_free_ Ssi__Procspace__Process **born = NULL;
	_cleanup_free_ uint64_t *use = NULL;
	uint32_t gone[TOLD_GONE_MAX];
	size_t left;
	int r;

	n = n > SSI_PROCS_MAX ? SSI_PROCS_MAX : n;
	born = calloc(x.room / TOLD_PROCESS + 1, sizeof(*born));
	r = born ? grow(t, t->n + n) : -ENOMEM;
	if (r < 0)
		return r;
	ssi__procspace__processes__init(&x.m);
	x.born = born;
	x.gone = gone;
	tell_changes(&x, seen, n);
	take_next(t);
	left = SSI_PROCS_USE_MAX + x.n_born * TOLD_USE;
	use = calloc(left + SSI_USES + 2, sizeof(*use));
	if (use)
		tell_use(&x, seen, n, use, left);
	x.m.anew = t->anew;
	x.m.boot_ms = t->anew ? boot_ms : 0;
	x.m.complete = !x.more;
	r = pack(&x, ret);
	for (size_t i = 0; i < x.n_born; i++)
		free(born[i]);
	t->anew = false;
	t->complete |= !x.more;
	if (r < 0)
		ssi_procs_told_anew(t);
	return r < 0 ? r : !t->complete;
}
