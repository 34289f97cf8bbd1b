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

static int ask_take(const Ssi__Job__Places *m, struct ssi_run_places **ret, struct ssi_err *e)
{
	struct ssi_run_places *x;

	if (m->error[0])
		return ssi_errf(e, -EHOSTUNREACH, "%.400s", m->error);
	x = calloc(1, sizeof(*x) + m->n_places * sizeof(x->place[0]));
	if (!x)
		return ssi_errf(e, -ENOMEM, "no memory for %zu places", m->n_places);
	x->n = m->n_places;
	x->caller = m->caller;
	if (strlen(m->shared) < sizeof(x->shared))       /* cut, it would name another folder */
		ssi_text_copy(x->shared, sizeof(x->shared), m->shared);
	for (size_t i = 0; i < x->n; i++) {
		ssi_text_copy(x->place[i].node, sizeof(x->place[i].node), m->places[i]->node);
		ssi_text_copy(x->place[i].arch, sizeof(x->place[i].arch), m->places[i]->arch);
		ssi_text_copy(x->place[i].error, sizeof(x->place[i].error), m->places[i]->error);
		x->place[i].x86_level = m->places[i]->x86_level;
		x->place[i].job = m->places[i]->job;
		x->place[i].pid = m->places[i]->pid;
	}
	*ret = x;
	return 0;
}

/* wait: an answer that may be another one in a moment is none (-EAGAIN). */
static int ask_once(const char *path, const struct ssi_run_where *w, bool wait, struct ssi_run_places **ret, int *ret_fd, struct ssi_err *e)
{
	SSI_CLEANUP(ssi_jobhop_close) struct ssi_jobhop h = SSI_JOBHOP_INIT;
	struct ssi_jobframe f;
	const uint8_t *body;
	Ssi__Job__Places *m;
	int r = ssi_jobhop_connect(path, e);

	if (r == -ENOENT || r == -ECONNREFUSED)
		return ssi_errf(e, -EHOSTUNREACH, "%s: no ssi-bootsvc is there (see 'systemctl status ssi-bootsvc')", path);
	if (r < 0)
		return r;
	ssi_jobhop_init(&h, r);
	r = ask_say(&h, w);
	if (r >= 0)
		r = ask_hear(&h, &f, &body);
	m = r > 0 && f.type == SSI_JOB_PLACES ? ssi__job__places__unpack(NULL, f.size, body) : NULL;
	if (!m)
		return ssi_errno(e, r < 0 ? r : -EBADMSG, "%s: no answer", path);
	r = m->soon && wait ? -EAGAIN : ask_take(m, ret, e);
	ssi__job__places__free_unpacked(m, NULL);
	if (r >= 0)
		*ret_fd = TAKE_FD(h.fd);
	return r;
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
