/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's half of what ssi/procspace/load-head leaves to it: who counts, and what is made of it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "bootsvc/loads.h"
#include "bootsvc/viewfiles.h"
#include "libssi/base/clock.h"

static bool is_member(enum ssi_nodestate state)
{
	return state == SSI_NODE_JOINED || state == SSI_NODE_SUSPECT;
}

static bool loads_member(struct ssi_ccm_conn *c, void *userdata)
{
	const struct ssi_identity *id = ssi_ccm_identity(c);
	const struct ssi_head_node *n = ssi_head_node(((struct daemon *)userdata)->head, id->who);

	return n && is_member(n->state) && n->incarnation == id->incarnation;
}

static void loads_told(const struct ssi_load_of *n, void *userdata)
{
	viewfiles_told(((struct daemon *)userdata)->viewfiles, VIEWFILE_NODES);
}

static const struct ssi_load_ops loads_ops = { .member = loads_member, .told = loads_told };

int loads_start(struct daemon *d, struct ssi_err *e)
{
	int r = ssi_load_head_new(d->ccm, &loads_ops, d, &d->loads);

	return r < 0 ? ssi_errno(e, r, "loads") : 0;
}

void loads_left(struct daemon *d, const char *node)
{
	ssi_load_head_forget(d->loads, node);
	viewfiles_told(d->viewfiles, VIEWFILE_NODES);
}

const struct ssi_load_of *loads_of(const struct daemon *d, const struct ssi_head_node *n)
{
	return n && is_member(n->state) ? ssi_load_head_get(d->loads, n->name) : NULL;
}

int loads_write(struct daemon *d, struct ssi_buf *ret)
{
	ssi_loadtable_begin(ret, ssi_clock_wall_ms());
	for (size_t i = 0; i < d->registry->n_nodes; i++) {
		const struct ssi_head_node *n = ssi_head_node(d->head, d->registry->nodes[i]->name);
		const struct ssi_load_of *l = loads_of(d, n);
		struct ssi_loadtable_node o = { 0 };

		if (!l)
			continue;
		o.number = n->number;
		memcpy(o.name, n->name, sizeof(o.name));
		memcpy(o.system, n->system, sizeof(o.system));
		o.taken_ms = l->taken_ms;
		o.busy = l->busy;
		o.suspect = n->state == SSI_NODE_SUSPECT;
		ssi_loadtable_add(ret, &o, l->load);
	}
	return ssi_loadtable_end(ret);
}

static json_t *per_cent(uint64_t hundredths)
{
	return json_real((double)hundredths / 100);
}

json_t *loads_json(const struct ssi_load_of *l)
{
	const uint64_t *v = l->load->values;
	json_t *o = json_pack("{s:I, s:i, s:f, s:[f, f, f], s:I, s:I, s:I, s:I, s:I, s:I}", "age_ms", (json_int_t)(ssi_clock_wall_ms() - l->taken_ms),
			      "cpus", (int)l->load->shape.n_cpus, "busy", (double)l->busy / 1000,
			      "load", (double)v[SSI_LOAD_1] / 100, (double)v[SSI_LOAD_5] / 100, (double)v[SSI_LOAD_15] / 100,
			      "running", (json_int_t)v[SSI_LOAD_RUNNING], "tasks", (json_int_t)v[SSI_LOAD_TASKS],
			      "memory", (json_int_t)v[SSI_LOAD_MEM_TOTAL] * 1024, "available", (json_int_t)v[SSI_LOAD_MEM_AVAILABLE] * 1024,
			      "blocked", (json_int_t)v[SSI_LOAD_PROCS_BLOCKED], "uptime_ms", (json_int_t)v[SSI_LOAD_UPTIME] * 10);

	json_object_set_new(o, "pressure", json_pack("{s:o, s:o, s:o, s:o, s:o}", "cpu", per_cent(v[SSI_LOAD_CPU_SOME10]),
		"memory", per_cent(v[SSI_LOAD_MEM_SOME10]), "memory_full", per_cent(v[SSI_LOAD_MEM_FULL10]),
		"io", per_cent(v[SSI_LOAD_IO_SOME10]), "io_full", per_cent(v[SSI_LOAD_IO_FULL10])));
	return o;
}
