/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the proxy's thread, its listener and the list of its connections; what happens to one of them is in pair.c. Called by tests and by
 * chaos-proxy. It polls a list, which is enough for some hundred connections.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include "libssi/base/cleanup.h"
#include "libssi/comm/sock.h"
#include "tests/chaos/pair.h"

#define PROXY_PAIRS 1024             /* at a time; more are closed as they come */
#define PROXY_TICK_MS 20             /* held connections and stalls are looked at so often, at least */

const char *const chaos_fault_names[CHAOS_FAULTS] = {
	"reset", "truncate", "half", "stall", "duplicate", "reorder", "flip", "replay",
};

struct chaos_proxy {
	struct chaos chaos;
	pthread_t thread;
	int fd, stop;
	struct pair *pairs[PROXY_PAIRS];
	size_t n;
};

/* splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014) */
uint64_t chaos_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static void proxy_add(struct chaos_proxy *p, struct pair *pair)
{
	if (pair && p->n < PROXY_PAIRS)
		p->pairs[p->n++] = pair;
	else
		pair_free(pair);
}

static void proxy_accept(struct chaos_proxy *p)
{
	struct in_addr peer;
	int fd = ssi_sock_accept(p->fd, &peer);

	if (fd < 0)
		return;
	p->chaos.stats.connections++;
	proxy_add(p, pair_new(&p->chaos, fd));
}

/* One turn of every connection; those that are over go. */
static void proxy_turn(struct chaos_proxy *p, const struct pollfd *fds)
{
	size_t kept = 0, n = p->n;

	for (size_t i = 0; i < n; i++) {
		struct pair *again = NULL;
		bool alive = pair_turn(p->pairs[i], &p->chaos, fds + 2 * i, &again);

		if (again)
			proxy_add(p, again);
		if (!alive) {
			pair_free(p->pairs[i]);
			p->pairs[i] = NULL;
		}
	}
	for (size_t i = 0; i < p->n; i++)
		if (p->pairs[i])
			p->pairs[kept++] = p->pairs[i];
	p->n = kept;
}

static void *proxy_run(void *userdata)
{
	static _Thread_local struct pollfd fds[2 * PROXY_PAIRS + 2];
	struct chaos_proxy *p = userdata;

	for (;;) {
		size_t n = 2 * p->n;
		int wait = p->n ? PROXY_TICK_MS : -1;

		for (size_t i = 0; i < p->n; i++)
			wait = pair_interest(p->pairs[i], fds + 2 * i, wait);
		fds[n] = (struct pollfd){ .fd = p->fd, .events = POLLIN };
		fds[n + 1] = (struct pollfd){ .fd = p->stop, .events = POLLIN };
		if (poll(fds, n + 2, wait) < 0 && errno != EINTR)
			return NULL;
		if (fds[n + 1].revents)
			return NULL;
		proxy_turn(p, fds);
		if (fds[n].revents)
			proxy_accept(p);
	}
}

int chaos_proxy_new(const struct chaos_plan *plan, struct chaos_proxy **ret, struct ssi_err *e)
{
	const struct in_addr loopback = { htonl(INADDR_LOOPBACK) };
	struct chaos_proxy *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return ssi_errf(e, -ENOMEM, "no memory for a proxy");
	p->chaos.plan = *plan;
	p->chaos.random = plan->seed;
	p->stop = eventfd(0, EFD_CLOEXEC);
	p->fd = r = ssi_sock_listen(loopback, plan->port, e);
	if (r >= 0 && (r = -pthread_create(&p->thread, NULL, proxy_run, p)) < 0)
		ssi_errno(e, r, "thread of the proxy");
	if (r < 0) {
		if (p->fd >= 0)
			close(p->fd);
		close(p->stop);
		free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void chaos_proxy_free(struct chaos_proxy *p)
{
	if (!p)
		return;
	eventfd_write(p->stop, 1);
	pthread_join(p->thread, NULL);
	for (size_t i = 0; i < p->n; i++)
		pair_free(p->pairs[i]);
	close(p->fd);
	close(p->stop);
	free(p);
}

uint16_t chaos_proxy_port(const struct chaos_proxy *p)
{
	struct sockaddr_in sa = { 0 };
	socklen_t n = sizeof(sa);

	return getsockname(p->fd, (struct sockaddr *)&sa, &n) < 0 ? 0 : ntohs(sa.sin_port);
}

struct chaos_stats *chaos_proxy_stats(struct chaos_proxy *p)
{
	return &p->chaos.stats;
}
