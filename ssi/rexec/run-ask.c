/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asking the daemon where a job may run. Called by ssi run and ssi_rexec(). Blocks, for ASK_MS at most. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include "libssi/base/clock.h"
#include "ssi/boot/text.h"
#include "ssi/rexec/run-internal.h"

#define ASK_MS 20000
#define ASK_SOON_MS 4000             /* so long it is asked again while a node is just not heard of */
#define ASK_AGAIN_MS 100
#define ASK_PLACES 65536u

static int ask_say(struct ssi_jobhop *h, const struct ssi_run_where *w)
{
	Ssi__Job__Ask m = SSI__JOB__ASK__INIT;
	_cleanup_free_ uint8_t *p = NULL;

	m.range = (char *)(w->range ? w->range : "");
	m.policy = (char *)(w->policy ? w->policy : "");
	m.count = w->count;
	m.cpus = w->cpus;
	m.memory = w->memory;
	m.same_as = w->same_as;
	m.system = (char *)(w->system ? w->system : "");
	p = malloc(protobuf_c_message_get_packed_size(&m.base) + 1);
	return p ? ssi_jobhop_send(h, SSI_JOB_ASK, 0, p, protobuf_c_message_pack(&m.base, p)) : -ENOMEM;
}

/* The next frame, within the time that is left. */
static int ask_hear(struct ssi_jobhop *h, struct ssi_jobframe *f, const uint8_t **body)
{
	uint64_t until = ssi_clock_mono_ms() + ASK_MS, now;
	int r;

	while ((r = ssi_jobhop_next(h, f, body)) == 0) {
		struct pollfd p = { .fd = h->fd, .events = (short)(POLLIN | (ssi_jobhop_waits(h) ? POLLOUT : 0)) };

		now = ssi_clock_mono_ms();
		if (now >= until)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)(until - now)) < 0 && errno != EINTR)
			return -errno;
		r = ssi_jobhop_flush(h);
		if (r == 0 && p.revents & (POLLIN | POLLHUP | POLLERR))
			r = ssi_jobhop_read(h);
		else if (r == 0)
			continue;
		if (r <= 0 && r != -EAGAIN)
			return r == 0 ? -ECONNRESET : r;
	}
	return r;
}

static void place_take(struct ssi_run_place *ret, const Ssi__Job__Place *m)
{
	ssi_text_copy(ret->node, sizeof(ret->node), m->node);
	ssi_text_copy(ret->arch, sizeof(ret->arch), m->arch);
	ssi_text_copy(ret->error, sizeof(ret->error), m->error);
	ret->x86_level = m->x86_level;
	ret->job = m->job;
	ret->pid = m->pid;
}

/* Behind those that *x has already, if there is one. */
static int ask_take(const Ssi__Job__Places *m, struct ssi_run_places **x, struct ssi_err *e)
{
	size_t had = *x ? (*x)->n : 0;
	struct ssi_run_places *more;

	if (m->error[0])
		return ssi_errf(e, -EHOSTUNREACH, "%.400s", m->error);
	if (m->n_places > ASK_PLACES - had)
		return ssi_errf(e, -EBADMSG, "more than %u places", ASK_PLACES);
	more = realloc(*x, sizeof(*more) + (had + m->n_places) * sizeof(more->place[0]));
	if (!more)
		return ssi_errf(e, -ENOMEM, "no memory for %zu places", had + m->n_places);
	*x = more;
	memset(&more->place[had], 0, m->n_places * sizeof(more->place[0]));
	more->n = had + m->n_places;
	if (!had) {
		more->caller = m->caller;
		more->shared[0] = '\0';
		if (strlen(m->shared) < sizeof(more->shared))    /* cut, it would name another folder */
			ssi_text_copy(more->shared, sizeof(more->shared), m->shared);
	}
	for (size_t i = 0; i < m->n_places; i++)
		place_take(&more->place[had + i], m->places[i]);
	return 0;
}

/* One PLACES. 1: there is another. wait: an answer that may be another one in a moment is none (-EAGAIN). */
static int ask_piece(struct ssi_jobhop *h, const char *path, bool wait, struct ssi_run_places **x, struct ssi_err *e)
{
	struct ssi_jobframe f;
	const uint8_t *body;
	Ssi__Job__Places *m;
	int r = ask_hear(h, &f, &body);

	m = r > 0 && f.type == SSI_JOB_PLACES ? ssi__job__places__unpack(NULL, f.size, body) : NULL;
	if (!m)
		return ssi_errno(e, r < 0 ? r : -EBADMSG, "%s: no answer", path);
	r = m->soon && wait ? -EAGAIN : ask_take(m, x, e);
	if (r >= 0)
		r = m->more;
	ssi__job__places__free_unpacked(m, NULL);
	return r;
}

static int ask_once(const char *path, const struct ssi_run_where *w, bool wait, struct ssi_run_places **ret, int *ret_fd, struct ssi_err *e)
{
	SSI_CLEANUP(ssi_jobhop_close) struct ssi_jobhop h = SSI_JOBHOP_INIT;
	_cleanup_free_ struct ssi_run_places *x = NULL;
	int r = ssi_jobhop_connect(path, e);

	if (r == -ENOENT || r == -ECONNREFUSED)
		return ssi_errf(e, -EHOSTUNREACH, "%s: no ssi-bootsvc is there (see 'systemctl status ssi-bootsvc')", path);
	if (r < 0)
		return r;
	ssi_jobhop_init(&h, r);
	r = ask_say(&h, w);
	if (r < 0)
		return ssi_errno(e, r, "%s: no answer", path);
	do
		r = ask_piece(&h, path, wait, &x, e);
	while (r > 0);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(x);
	*ret_fd = TAKE_FD(h.fd);
	return 0;
}

int ssi_run_ask(const char *socket, const struct ssi_run_where *w, struct ssi_run_places **ret, int *ret_fd, struct ssi_err *e)
{
	uint64_t until = ssi_clock_mono_ms() + ASK_SOON_MS;
	bool wait;
	int r;

	do {
		wait = ssi_clock_mono_ms() < until;
		r = ask_once(socket ? socket : ssi_run_socket(), w, wait, ret, ret_fd, e);
	} while (r == -EAGAIN && wait && poll(NULL, 0, ASK_AGAIN_MS) == 0);
	return r;
}
