/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a job begins: ASK, where may it run, and SPEC, what it is. Called by jobs-client.c. Who it runs as is written here, from the socket's other end; what
 * the client said there is thrown away.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include "bootsvc/control.h"
#include "bootsvc/jobs-internal.h"
#include "bootsvc/placement.h"
#include "libssi/base/clock.h"
#include "libssi/base/log.h"
#include "libssi/base/path.h"
#include "libssi/model/shared.h"
#include "ssi/boot/text.h"
#include "ssi/rexec/job.pb-c.h"

#define ANSWER_HEAD 2048                     /* of a PLACES, for all but the places; */
#define ANSWER_EACH 8                        /* and before each of those */

/* --- ASK --- */

struct answer {
	Ssi__Job__Places m;
	Ssi__Job__Place *places;
	Ssi__Job__Place **list;
	size_t n;
};

static void answer_free(struct answer *a)
{
	free(a->places);
	free(a->list);
}

/* As many as a frame has room for, and the rest in others. */
static int answer_send(struct job_client *c, struct answer *a)
{
	_cleanup_free_ uint8_t *p = malloc(SSI_JOBFRAME_MAX);
	size_t at = 0;
	int r = p ? 0 : -ENOMEM;

	do {
		size_t room = SSI_JOBFRAME_MAX - ANSWER_HEAD;

		a->m.places = a->list + at;
		for (a->m.n_places = 0; at < a->n; at++, a->m.n_places++) {
			size_t n = protobuf_c_message_get_packed_size(&a->list[at]->base) + ANSWER_EACH;

			if (n > room)
				break;
			room -= n;
		}
		a->m.more = at < a->n;
		if (r >= 0)
			r = protobuf_c_message_get_packed_size(&a->m.base) > SSI_JOBFRAME_MAX ? -EMSGSIZE : 0;
		if (r >= 0)
			r = ssi_jobhop_send(&c->hop, SSI_JOB_PLACES, 0, p, protobuf_c_message_pack(&a->m.base, p));
	} while (r >= 0 && a->m.more);
	return r;
}

static void place_one(struct job_client *c, const struct ssi_head_node *n, const char *name, Ssi__Job__Place *ret)
{
	struct jobs *j = c->jobs;
	struct ssi_err e;
	struct job *job;

	ssi__job__place__init(ret);
	ret->node = (char *)name;
	if (!n || !ssi_head_conn(j->d->head, name))
		ret->error = (char *)"it is not joined";
	else if (c->uid && jobs_of_user(j, c->uid) >= JOBS_OF_USER)
		ret->error = (char *)"you have as many jobs as one user may have";
	else if (job_new(j, name, n->incarnation, c->uid, c->gid, &job, &e) < 0) {
		log_error("jobs: %s", e.text);
		ret->error = (char *)"the master can take no more jobs just now";
	} else {
		ret->job = job->s.number;
		ret->pid = job->s.pid;
		ret->arch = (char *)n->inventory.arch;
		ret->x86_level = n->inventory.x86_level;
	}
}

static int answer_room(struct answer *a, size_t n)
{
	a->places = calloc(n + 1, sizeof(*a->places));
	a->list = calloc(n + 1, sizeof(*a->list));
	return a->places && a->list ? 0 : -ENOMEM;
}

static int ask_nodes(struct job_client *c, const Ssi__Job__Ask *m, struct answer *a, struct ssi_err *e)
{
	struct daemon *d = c->jobs->d;
	_cleanup_free_ const struct ssi_node **nodes = NULL;
	size_t n;
	int r = control_nodes(d, m->range, &nodes, &n, e);

	if (r == 0)
		r = answer_room(a, n) < 0 ? ssi_errf(e, -ENOMEM, "no memory for so many nodes") : 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		place_one(c, ssi_head_node(d->head, nodes[i]->name), nodes[i]->name, &a->places[i]);
		a->list[a->n++] = &a->places[i];
	}
	return r;
}

/* As a policy has it. With local there are no places: the program runs where it was asked for. */
static int ask_policy(struct job_client *c, const Ssi__Job__Ask *m, struct answer *a, struct ssi_err *e)
{
	struct placement_ask ask = { .system = m->system[0] ? m->system : NULL, .policy = m->policy[0] ? m->policy : NULL,
				     .count = m->count ?: 1, .cpus = m->cpus, .memory = m->memory };
	SSI_CLEANUP(placement_free) struct placement got = { 0 };
	char same_as[32];
	int r;

	if (m->same_as && strcmp(m->policy, "same-as") == 0) {
		snprintf(same_as, sizeof(same_as), "same-as=%u", m->same_as);
		ask.policy = same_as;
	}
	r = placement_choose(c->jobs->d, &ask, &got, e);
	if (r < 0)
		return r;
	a->m.policy = (char *)got.policy;
	if (answer_room(a, got.n) < 0)
		return ssi_errf(e, -ENOMEM, "no memory for so many nodes");
	for (size_t i = 0; i < got.n; i++) {
		place_one(c, got.nodes[i], got.nodes[i]->name, &a->places[i]);
		a->list[a->n++] = &a->places[i];
	}
	return 0;
}

/* A node that is not heard of may be about to come back, as all are when the daemon was started a moment ago. */
static bool answer_soon(const struct job_client *c, const struct answer *a, int r)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct ssi_head_node *n = a->list[i]->error[0] ? ssi_head_node(c->jobs->d->head, a->list[i]->node) : NULL;

		if (n && (n->state == SSI_NODE_JOINED || n->state == SSI_NODE_SUSPECT) && !ssi_head_conn(c->jobs->d->head, n->name))
			return true;
	}
	return r == -EAGAIN;
}

static void answer_shared(struct job_client *c, struct answer *a)
{
	const struct ssi_node *n = a->n ? ssi_registry_node(c->jobs->d->registry, a->list[0]->node) : NULL;

	if (n)
		a->m.shared = (char *)n->system->shared;
}

int jobs_on_ask(struct job_client *c, const uint8_t *body, size_t n)
{
	SSI_CLEANUP(answer_free) struct answer a = { .m = SSI__JOB__PLACES__INIT };
	Ssi__Job__Ask *m = ssi__job__ask__unpack(NULL, n, body);
	struct ssi_err e = { 0 };
	char text[256];
	int r;

	if (!m)
		return -EBADMSG;
	r = m->range[0] ? ask_nodes(c, m, &a, &e) : ask_policy(c, m, &a, &e);
	if (r < 0)
		a.m.error = ssi_text_copy(text, sizeof(text), e.text);
	a.m.soon = answer_soon(c, &a, r);
	answer_shared(c, &a);
	a.m.caller = c->pid;
	r = answer_send(c, &a);
	ssi__job__ask__free_unpacked(m, NULL);
	return r;
}

/* --- SPEC --- */

static int refuse(struct job_client *c, uint64_t number, int error, const char *text)
{
	Ssi__Job__Gone m = SSI__JOB__GONE__INIT;
	uint8_t p[512];

	m.text = (char *)text;
	m.error = (uint32_t)-error;
	return ssi_jobhop_send(&c->hop, SSI_JOB_GONE, number, p, protobuf_c_message_pack(&m.base, p));
}

/* What the kernel knows of the client, over what it says. groups: of JOBS_GROUPS, for the new list. */
static int spec_fill(struct job_client *c, struct job *job, Ssi__Job__Spec *m, gid_t *groups)
{
	const struct ssi_head_node *n = ssi_head_node(c->jobs->d->head, job->s.node);
	socklen_t size = JOBS_GROUPS * sizeof(*groups);
	const struct ssi_system *system;

	if (getsockopt(c->hop.fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
		return errno == ERANGE ? -E2BIG : -errno;
	m->uid = c->uid;
	m->gid = c->gid;
	m->groups = groups;
	m->n_groups = size / sizeof(*groups);
	m->pid = job->s.pid;
	m->system = (char *)(n ? n->system : "");
	m->started_by = c->jobs->life;
	/* Files of its own, brought and fetched, are in a folder of its own. */
	system = n ? ssi_registry_system(c->jobs->d->registry, n->system) : NULL;
	m->shared_cwd = system && !m->files && !m->result[0] && ssi_shared_holds(system->shared, m->cwd);
	return 0;
}

static int spec_send(struct job_client *c, struct job *job, Ssi__Job__Spec *m)
{
	gid_t groups[JOBS_GROUPS];
	/* What stood there before: it is the message's to free. */
	uint32_t *their_groups = m->groups;
	size_t n_their = m->n_groups, n;
	char *their_system = m->system;
	uint8_t *p = NULL;
	int r = spec_fill(c, job, m, groups);

	n = protobuf_c_message_get_packed_size(&m->base);
	if (r == 0)
		r = n > SSI_JOBFRAME_MAX ? -E2BIG : 0;
	if (r == 0)
		p = malloc(n);
	if (r == 0)
		r = p ? job_to_node(job, SSI_JOB_SPEC, p, protobuf_c_message_pack(&m->base, p)) : -ENOMEM;
	free(p);
	m->groups = their_groups;
	m->n_groups = n_their;
	m->system = their_system;
	return r;
}

static void job_begun(struct jobs *j, struct job *job, const Ssi__Job__Spec *m)
{
	char name[64];
	size_t n;
	const char *last = ssi_path_last((const char *)m->argv[0].data, m->argv[0].len, &n);

	snprintf(name, sizeof(name), "%.*s", n < sizeof(name) ? (int)n : (int)sizeof(name), last);
	ssi_text_copy(job->s.command, sizeof(job->s.command), name);
	job->state = JOB_SENT;
	job->s.phase = STATE_JOB_SENT;
	job->s.started = ssi_clock_wall_ms();
	job->s.boot = j->boot;
	job_changed(j, job);
}

int jobs_on_spec(struct job_client *c, uint64_t number, const uint8_t *body, size_t n)
{
	struct job *job = job_find(c->jobs, number);
	struct ssi_ccm_conn *conn;
	Ssi__Job__Spec *m;
	int r;

	if (!job || job->state != JOB_PLACED || job->s.uid != c->uid || (job->client && job->client != c))
		return refuse(c, number, -ESRCH, "this number is not for you, or its time is over");
	conn = ssi_head_conn(c->jobs->d->head, job->s.node);
	if (!conn)
		return refuse(c, number, -EHOSTUNREACH, "the node is not joined any more");
	m = ssi__job__spec__unpack(NULL, n, body);
	if (!m || !m->n_argv) {
		ssi__job__spec__free_unpacked(m, NULL);
		return -EBADMSG;
	}
	if (m->deputy)
		deputy_take(c->jobs, job, c->pid, c->uid);       /* if not, it keeps the number that it was given */
	job->conn = conn;
	r = spec_send(c, job, m);
	if (r < 0)
		job->conn = NULL;                /* it may be one that ends just now: nothing is to know it */
	if (r >= 0) {
		c->job = job;
		job->client = c;
		job_begun(c->jobs, job, m);
	}
	ssi__job__spec__free_unpacked(m, NULL);
	if (r == -ENOTCONN)
		return refuse(c, number, -EHOSTUNREACH, "the node is not joined any more");
	if (r == -E2BIG || r == -EMSGSIZE)
		return refuse(c, number, -E2BIG, "arguments and environment are more than a job may have (128 KiB)");
	return r;
}
