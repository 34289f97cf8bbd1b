/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns which processes are shown. Called by the verbs ps and top. */
#include "ssi/process.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/base/clock.h"
#include "libssi/base/num.h"

#define TABLE_AGE_MS 1500
#define TABLE_WAIT_MS 3000

int process_table(struct ssi_viewfile *f, struct ssi_proctable *ret, struct ssi_err *e)
{
	const void *p;
	size_t n;
	int r = ssi_viewfile_map(f, ssi_clock_wall_ms() - TABLE_AGE_MS, TABLE_WAIT_MS, &p, &n, e);

	return r < 0 ? r : ssi_proctable_read(p, n, ret, e);
}

static bool passes(const struct ssi_proctable *t, const struct ssi_proctable_process *p, const struct process_filter *f, const bool *nodes)
{
	if (f->nodes && !nodes[p->node])
		return false;
	if (f->all)
		return true;
	for (size_t i = 0; i < f->n_uids; i++)
		if (p->on_node.uid[1] == f->uids[i])
			return true;
	return false;
}

/* Of the time since it was started. */
static unsigned lifetime_cpu(const struct ssi_proctable *t, const struct ssi_proctable_process *p)
{
	uint64_t seen = ssi_proctable_node(t, p)->seen_ms, used = (p->on_node.utime + p->on_node.stime) * 10;

	return seen > p->start_ms ? (unsigned)(used * 1000 / (seen - p->start_ms)) : 0;
}

int process_select(const struct ssi_proctable *t, const struct process_filter *filter, struct process_row **ret, size_t *ret_n)
{
	_cleanup_free_ struct process_row *rows = calloc(t->head->n + 1, sizeof(*rows));
	_cleanup_free_ bool *nodes = calloc(t->head->n_nodes + 1, sizeof(*nodes));
	size_t n = 0;

	if (!rows || !nodes)
		return -ENOMEM;
	for (uint32_t i = 0; filter->nodes && i < t->head->n_nodes; i++)
		for (size_t k = 0; k < filter->nodes->n; k++)
			nodes[i] |= strcmp(filter->nodes->names[k], t->nodes[i].name) == 0;
	for (uint32_t i = 0; i < t->head->n; i++)
		if (passes(t, &t->processes[i], filter, nodes))
			rows[n++] = (struct process_row){ &t->processes[i], lifetime_cpu(t, &t->processes[i]) };
	*ret = TAKE_PTR(rows);
	*ret_n = n;
	return 0;
}

int process_users(const char *names, uint32_t **ret, size_t *ret_n, struct ssi_err *e)
{
	_cleanup_free_ uint32_t *uids = calloc(strlen(names) + 1, sizeof(*uids));
	_cleanup_free_ char *copy = strdup(names);
	char *rest, *name;
	size_t n = 0;

	if (!uids || !copy)
		return ssi_errno(e, -ENOMEM, "users");
	for (name = strtok_r(copy, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
		const struct passwd *pw = getpwnam(name);

		if (pw)
			uids[n++] = pw->pw_uid;
		else if (ssi_num_u32(name, 0, UINT32_MAX, &uids[n++]) < 0)
			return ssi_errf(e, -EINVAL, "no user '%s'", name);
	}
	*ret = TAKE_PTR(uids);
	*ret_n = n;
	return 0;
}
