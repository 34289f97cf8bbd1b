/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns what was asked of nodes about single processes, until they have answered. Called by the daemon and by ccm. */
#include <errno.h>
#include <stdlib.h>
#include "libssi/base/cleanup.h"
#include "ssi/procspace/procs-internal.h"
#include "ssi/procspace/procspace.pb-c.h"

#define ACT_CALLS_MAX 1024               /* that wait for their answers */

static void end(struct ssi_procs *p, struct procs_call *call, int error, const uint64_t *mask, size_t n)
{
	LIST_REMOVE(call, link);
	p->n_calls--;
	if (call->acted)
		call->acted(error, mask, n, call->userdata);
	free(call);
}

/* As kill(2): his own, or he is root. The saved identity counts too. */
static bool may(uid_t uid, const struct ssi_process *p)
{
	return uid == 0 || uid == p->uid[0] || uid == p->uid[2];
}

static struct procs_entry *find(const struct ssi_procs *p, uint32_t pid)
{
	const struct procs_node *n = procs_node_find(p, ssi_procs_number_owner(p->numbers, pid));

	for (size_t i = 0; n && i < n->n; i++)
		if (n->entries[i].number == pid)
			return &n->entries[i];
	return NULL;
}

int ssi_procs_act(struct ssi_procs *p, struct ssi_ccm_conn *conn, const struct ssi_procs_act *a, ssi_procs_acted acted, void *userdata)
{
	Ssi__Procspace__Act m = SSI__PROCSPACE__ACT__INIT;
	const struct procs_entry *e = find(p, a->pid);
	_cleanup_free_ struct procs_call *call = NULL;
	uint8_t buf[512];
	int r;

	if (!e)
		return -ESRCH;
	if (a->what != SSI_ACT_GET_AFFINITY && !may(a->uid, &e->p))
		return -EPERM;
	if (a->n_mask > SSI_PROCS_MASK || p->n_calls == ACT_CALLS_MAX)
		return a->n_mask > SSI_PROCS_MASK ? -EINVAL : -EAGAIN;
	call = malloc(sizeof(*call));
	if (!call)
		return -ENOMEM;
	*call = (struct procs_call){ .conn = conn, .sequence = ++p->sequence, .acted = acted, .userdata = userdata };
	m.what = (Ssi__Procspace__Act__What)a->what;
	m.pid = e->p.pid;
	m.start = e->p.start;
	m.uid = a->uid;
	m.value = a->value;
	m.mask = (uint64_t *)a->mask;
	m.n_mask = a->n_mask;
	r = ssi_ccm_send(conn, SSI_MOD_PROCSPACE, SSI_PROCSPACE_ACT, call->sequence, buf, ssi__procspace__act__pack(&m, buf));
	if (r < 0)
		return r;
	LIST_INSERT_HEAD(&p->calls, call, link);
	p->n_calls++;
	call = NULL;
	return 0;
}

int procs_on_acted(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	Ssi__Procspace__Acted *m = ssi__procspace__acted__unpack(NULL, f->size, body);
	struct ssi_procs *p = userdata;
	struct procs_call *call;

	if (!m)
		return -EBADMSG;
	LIST_FOREACH(call, &p->calls, link)
		if (call->conn == c && call->sequence == f->sequence)
			break;
	if (call)
		end(p, call, m->error && m->error < 4096 ? -(int)m->error : m->error ? -EIO : 0, m->mask, m->n_mask > SSI_PROCS_MASK ? SSI_PROCS_MASK : m->n_mask);
	ssi__procspace__acted__free_unpacked(m, NULL);
	return 0;
}

void ssi_procs_act_forget(struct ssi_procs *p, void *userdata)
{
	struct procs_call *call;

	LIST_FOREACH(call, &p->calls, link)
		if (call->userdata == userdata)
			call->acted = NULL;
}

void ssi_procs_closed(struct ssi_procs *p, struct ssi_ccm_conn *c)
{
	struct procs_node *n = procs_node_find(p, ssi_ccm_node(c));
	struct procs_call *call, *next;

	if (n && n->conn == c)
		n->conn = NULL;
	for (call = LIST_FIRST(&p->calls); call; call = next) {
		next = LIST_NEXT(call, link);
		if (call->conn == c)
			end(p, call, -EHOSTDOWN, NULL, 0);
	}
}
