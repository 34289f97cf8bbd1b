/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the names of a process's values in JSON. Called by the daemon and by ssi. */
#include "libssi/comm/procjson.h"

#include <string.h>
#include "libssi/comm/control.h"

static json_t *words(const struct ssi_proctable *t, const struct ssi_proctable_process *p)
{
	const char *text = ssi_proctable_cmdline(t, p);
	json_t *a = json_array();

	for (uint32_t at = 0; at < p->cmdline_len; at += (uint32_t)strlen(text + at) + 1)
		json_array_append_new(a, ssi_control_text(text + at));
	return a;
}

json_t *ssi_procjson(const struct ssi_proctable *t, const struct ssi_proctable_process *p)
{
	const struct ssi_proctable_node *n = ssi_proctable_node(t, p);
	const struct ssi_process *q = &p->on_node;
	const char state[2] = { q->state, '\0' };
	json_t *o = json_pack("{s:I, s:I, s:I, s:I, s:s, s:I, s:b, s:s, s:o, s:o}", "pid", (json_int_t)p->pid, "ppid", (json_int_t)p->ppid, "pgrp", (json_int_t)p->pgrp,
			      "session", (json_int_t)p->session, "node", n->name, "node_pid", (json_int_t)q->pid, "job", (int)p->job, "state", state,
			      "comm", ssi_control_text(q->comm), "args", words(t, p));
	const struct { const char *key; uint64_t value; } more[] = {
		{ "uid", q->uid[0] }, { "euid", q->uid[1] }, { "gid", q->gid[0] }, { "threads", q->threads },
		{ "processor", q->processor }, { "utime_ms", q->utime * 10 },
		{ "stime_ms", q->stime * 10 }, { "rss", q->rss }, { "vsize", q->vsize }, { "start", p->start_ms }, { "seen", n->seen_ms },
	};

	if (!o)
		return NULL;
	for (size_t i = 0; i < sizeof(more) / sizeof(*more); i++)
		json_object_set_new(o, more[i].key, json_integer((json_int_t)more[i].value));
	json_object_set_new(o, "nice", json_integer(q->nice));
	json_object_set_new(o, "priority", json_integer(q->priority));
	return o;
}
