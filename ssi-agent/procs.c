/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns telling the master of this machine's processes, each second while it is joined. A thread of its own reads /proc and makes the messages: reading a
 * command line may wait for a lock of that process, and the agent's loop waits for nobody. One of the two works at a time: the loop says go, the thread says
 * done. What is lost on the way is told anew.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "libssi/base/clock.h"
#include "libssi/base/log.h"
#include "ssi-agent/agent.h"
#include "ssi-agent/procs-read.h"
#include "ssi/procspace/procs-node.h"

#define PROCS_PERIOD_US 1000000
#define PROCS_MESSAGES 64                /* at once, when all is told anew */
#define PROCS_STACK (256u << 10)         /* the agent is locked in memory */

struct procs {
	struct agent *agent;
	struct procs_reader *reader;
	struct ssi_procs_told *told;
	int go, done;                    /* eventfds */
	pthread_t thread;
	sd_event_source *timer, *io;
	bool lost;                       /* there is another session since the thread was sent */
	bool busy;                       /* the thread works; what is below is its own then */
	bool end, anew;                  /* anew: what was told before is nothing to the master any more */
	struct ssi_buf messages[PROCS_MESSAGES];
	size_t n_messages;
	int error;
};

/* One look, as many messages as it takes. */
static int work(struct procs *p)
{
	uint64_t boot_ms = ssi_clock_wall_ms() - ssi_clock_boot_ms();
	const struct ssi_procs_seen *seen;
	size_t n;
	int r = procs_reader_scan(p->reader, &seen, &n);

	if (p->anew)
		ssi_procs_told_anew(p->told);
	if (r < 0)
		return r;
	do
		r = ssi_procs_tell(p->told, seen, n, boot_ms, &p->messages[p->n_messages++]);
	while (r > 0 && p->n_messages < PROCS_MESSAGES);
	return r < 0 ? r : 0;
}

static void *run(void *userdata)
{
	struct procs *p = userdata;
	uint64_t one = 1;

	prctl(PR_SET_NAME, "ssi-agent/procs");
	while (read(p->go, &one, sizeof(one)) == sizeof(one) && !p->end) {
		p->error = work(p);
		one = 1;
		if (write(p->done, &one, sizeof(one)) < 0)
			break;
	}
	return NULL;
}

static void drop_messages(struct procs *p)
{
	for (size_t i = 0; i < p->n_messages; i++)
		ssi_buf_free(&p->messages[i]);
	p->n_messages = 0;
}

static int on_done(sd_event_source *s, int fd, uint32_t events, void *userdata)
{
	struct procs *p = userdata;
	struct ssi_ccm_conn *c = ssi_member_conn(p->agent->member);
	uint64_t n;
	int r;

	if (read(fd, &n, sizeof(n)) < 0)
		return 0;
	r = p->error;                        /* ours again with what was read, and not before */
	p->busy = false;
	if (r < 0)
		log_error("processes: %s", strerror(-r));
	p->anew = r < 0 || !c || p->lost;
	p->lost = false;
	for (size_t i = 0; i < p->n_messages && !p->anew; i++)
		p->anew = ssi_ccm_send(c, SSI_MOD_PROCSPACE, SSI_PROCSPACE_PROCS, 0, p->messages[i].data, p->messages[i].len) < 0;
	drop_messages(p);
	return 0;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct procs *p = userdata;
	uint64_t one = 1;

	if (!ssi_member_conn(p->agent->member))
		return 0;                        /* procs_joined begins again */
	if (!p->busy) {
		p->busy = true;
		p->anew |= p->lost;
		p->lost = false;
		if (write(p->go, &one, sizeof(one)) < 0)
			p->busy = false;
	}
	sd_event_source_set_time_relative(s, PROCS_PERIOD_US);
	sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
	return 0;
}

void procs_joined(struct agent *a)
{
	struct procs *p = a->procs;

	if (!p)
		return;
	p->lost = true;
	sd_event_source_set_time(p->timer, 0);
	sd_event_source_set_enabled(p->timer, SD_EVENT_ONESHOT);
}

static int start_thread(struct procs *p)
{
	pthread_attr_t attr;
	int r;

	mallopt(M_ARENA_MAX, 1);                 /* one more heap would be one more that is locked in memory */
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, PROCS_STACK);
	r = pthread_create(&p->thread, &attr, run, p);
	pthread_attr_destroy(&attr);
	return -r;
}

int procs_open(struct agent *a, struct ssi_err *e)
{
	struct procs *p = calloc(1, sizeof(*p));
	int r = p ? 0 : -ENOMEM;

	if (r < 0)
		return ssi_errno(e, r, "processes");
	*p = (struct procs){ .agent = a, .go = eventfd(0, EFD_CLOEXEC), .done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .told = ssi_procs_told_new() };
	r = p->go < 0 || p->done < 0 || !p->told ? -ENOMEM : procs_reader_new(machine_procfs(), &p->reader);
	if (r >= 0)
		r = sd_event_add_io(a->event, &p->io, p->done, EPOLLIN, on_done, p);
	if (r >= 0)
		r = sd_event_add_time(a->event, &p->timer, CLOCK_MONOTONIC, 0, 10000, on_timer, p);
	if (r >= 0)
		r = sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
	if (r >= 0)
		r = start_thread(p);
	if (r < 0)
		return ssi_errno(e, r, "processes");     /* the agent ends, and with it what was made */
	a->procs = p;
	return 0;
}

/* A thread that waits for some process's lock is left alone with what it works on: the agent ends now. */
void procs_close(struct agent *a)
{
	struct procs *p = a->procs;
	uint64_t one = 1;

	if (!p)
		return;
	a->procs = NULL;
	sd_event_source_disable_unref(p->timer);
	sd_event_source_disable_unref(p->io);
	if (p->busy)
		return;
	p->end = true;
	if (write(p->go, &one, sizeof(one)) == sizeof(one))
		pthread_join(p->thread, NULL);
	drop_messages(p);
	ssi_procs_told_free(p->told);
	procs_reader_free(p->reader);
	close(p->go);
	close(p->done);
	free(p);
}
