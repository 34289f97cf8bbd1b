/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * waiters: a peer dies while threads wait for it in every call that can wait, and each has its error, -EHOSTDOWN, in time: within dead_ms when
 * it was killed or stopped, and at once when it came back as another incarnation. A test of make check.
 */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/comm/station.h"

#define SLACK_MS 200                 /* over the bound of a scene, on a machine that lets every thread run when it wants to */
#define REBORN_MS 1000               /* until the reborn peer was started and connected to; dead_ms is far more */
#define LATE_TURNS 5                 /* so many turns of threads lie between a death and the last waiter's return */
#define CALM_MS 300                  /* nobody got on for so long: all wait */
#define LIMIT_S 120                  /* for all of it; past that the test is killed */
#define FILE_SIZE (256u << 10)
#define WINDOW (512u << 10)

enum { MOD_SILENT = 1, MOD_CALLS, MOD_FILE, MOD_SEND, MOD_SETTLE, MODULES };

static const uint8_t key[SSI_CCM_STATION_KEY] = "the key of these two, no others";
static const struct in_addr loopback = { 0x0100007f };

struct waiter {
	const char *name;
	ssize_t (*wait)(struct waiter *w);
	struct ssi_ccm_station *station;
	int file;
	pthread_t thread;
	_Atomic unsigned steps;              /* calls that returned without an error */
	_Atomic bool done;
	ssize_t result;
	uint64_t ended;                      /* ms */
};

struct scene {
	const char *name;
	int signal;                          /* that the peer gets */
	bool reborn;
	unsigned dead_ms, in_time_ms;
};

/* --- the peer: a process that takes nothing and answers nothing --- */

static void no_answer(struct ssi_ccm_station *s, const struct ssi_ccm_head *call, const void *body, void *userdata)
{
}

static struct ssi_ccm_station *station_make(uint32_t number, uint64_t incarnation, uint16_t port, unsigned dead_ms)
{
	const struct ssi_ccm_station_config config = {
		.number = number, .incarnation = incarnation, .address = loopback, .port = port, .heartbeat_ms = dead_ms / 5, .dead_ms = dead_ms,
		.window = WINDOW,
	};
	struct ssi_ccm_permit lines[MODULES - 1];
	struct ssi_ccm_station *s = NULL;
	struct ssi_err e;

	for (uint16_t m = 1; m < MODULES; m++)
		lines[m - 1] = (struct ssi_ccm_permit){ m, 0, SSI_CCM_BODY_MAX, 3 - number, 3 - number };
	if (ssi_ccm_station_new(&config, &s, &e) < 0 || ssi_ccm_permit(s, lines, MODULES - 1) < 0) {
		fprintf(stderr, "station %u: %s\n", number, s ? "permits" : e.text);
		exit(1);
	}
	return s;
}

/* argv: incarnation, port, dead_ms, where to write the port to. */
static int peer_main(char **argv)
{
	struct ssi_ccm_station *s = station_make(2, strtoull(argv[0], NULL, 10), (uint16_t)atoi(argv[1]), (unsigned)atoi(argv[2]));
	uint16_t port = ssi_ccm_station_port(s);

	if (ssi_ccm_regist(s, MOD_CALLS, SSI_CCM_DEFAULT, no_answer, NULL) < 0 || ssi_ccm_listen_to(s, 1, key) < 0 ||
	    write(atoi(argv[3]), &port, sizeof(port)) < 0)
		return 1;
	for (;;)
		pause();
}

/* This program again, with a process of its own: threads do not outlive a fork. */
static pid_t peer_start(uint64_t incarnation, uint16_t port, unsigned dead_ms, uint16_t *ret_port)
{
	char arg[4][32];
	int ready[2];
	pid_t pid;

	if (pipe(ready) < 0)
		abort();
	snprintf(arg[0], sizeof(arg[0]), "%llu", (unsigned long long)incarnation);
	snprintf(arg[1], sizeof(arg[1]), "%u", port);
	snprintf(arg[2], sizeof(arg[2]), "%u", dead_ms);
	snprintf(arg[3], sizeof(arg[3]), "%d", ready[1]);
	pid = fork();
	if (pid < 0)
		abort();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl("/proc/self/exe", "waiters", "--peer", arg[0], arg[1], arg[2], arg[3], (char *)NULL);
		_exit(1);
	}
	close(ready[1]);
	if (read(ready[0], ret_port, sizeof(*ret_port)) != sizeof(*ret_port))
		*ret_port = 0;
	close(ready[0]);
	return pid;
}

/* --- how long this machine lets a thread wait for its turn: what nobody here can be blamed for --- */

static _Atomic uint64_t latest_ms;

static void *lateness_run(void *userdata)
{
	for (;;) {
		uint64_t before = ssi_clock_mono_ms(), late;

		usleep(5000);
		late = ssi_clock_mono_ms() - before - 5;
		if (late > atomic_load(&latest_ms))
			atomic_store(&latest_ms, late);
	}
	return NULL;
}

/* --- those who wait --- */

static ssize_t wait_brecv(struct waiter *w)
{
	struct ssi_ccm_head from = { .node = 2, .module = MOD_SILENT, .sequence = 5 };
	char buf[64];

	return ssi_ccm_brecv(w->station, &from, buf, sizeof(buf), SSI_CCM_FOREVER);
}

static ssize_t wait_brecv_any(struct waiter *w)
{
	struct ssi_ccm_head from = { .node = 2, .module = MOD_SILENT, .sequence = SSI_CCM_NOSEQ };
	char buf[64];

	return ssi_ccm_brecv(w->station, &from, buf, sizeof(buf), SSI_CCM_FOREVER);
}

static ssize_t wait_call(struct waiter *w, enum ssi_ccm_how how)
{
	const struct ssi_ccm_head to = { .node = 2, .module = MOD_CALLS, .type = 1 };
	char buf[64];

	return ssi_ccm_call(w->station, &to, how, "?", 1, buf, sizeof(buf), SSI_CCM_FOREVER);
}

static ssize_t wait_call_short(struct waiter *w)
{
	return wait_call(w, SSI_CCM_SHORT);
}

static ssize_t wait_call_long(struct waiter *w)
{
	return wait_call(w, SSI_CCM_LONG);
}

static void on_done(ssize_t result, const void *body, void *userdata)
{
	struct waiter *w = userdata;

	w->result = result;
	w->ended = ssi_clock_mono_ms();
	w->done = true;
}

static ssize_t wait_file(struct waiter *w)
{
	const struct ssi_ccm_head to = { .node = 2, .module = MOD_FILE, .type = 1 };
	int r;

	while ((r = ssi_ccm_send_file(w->station, &to, w->file, 0, FILE_SIZE, 0, SSI_CCM_FOREVER)) >= 0)
		w->steps++;
	return r;
}

static ssize_t wait_bsend(struct waiter *w)
{
	const struct ssi_ccm_head to = { .node = 2, .module = MOD_SEND, .type = 1 };
	static const char body[4096];
	int r;

	while ((r = ssi_ccm_bsend(w->station, &to, body, sizeof(body), 0, SSI_CCM_FOREVER)) >= 0)
		w->steps++;
	return r;
}

static ssize_t wait_settle(struct waiter *w)
{
	const struct ssi_ccm_head to = { .node = 2, .module = MOD_SETTLE, .type = 1 };
	int r;

	while ((r = ssi_ccm_bsend(w->station, &to, "x", 1, 0, SSI_CCM_FOREVER)) >= 0 && (r = ssi_ccm_settle(w->station, 2, SSI_CCM_FOREVER)) >= 0)
		;                        /* the peer's station acknowledges as long as it lives: not a step to be waited for */
	return r;
}

static void *waiter_run(void *userdata)
{
	struct waiter *w = userdata;

	w->result = w->wait(w);
	w->ended = ssi_clock_mono_ms();
	w->done = true;
	return NULL;
}

/* --- a scene --- */

static unsigned steps_of(struct waiter *w, size_t n)
{
	unsigned sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += w[i].steps;
	return sum;
}

static void until_all_wait(struct waiter *w, size_t n)
{
	uint64_t since = ssi_clock_mono_ms();
	unsigned last = 0;

	while (ssi_clock_mono_ms() - since < CALM_MS) {
		if (steps_of(w, n) != last)
			since = ssi_clock_mono_ms();
		last = steps_of(w, n);
		usleep(1000);
	}
}

static bool judge(const struct scene *c, const struct waiter *w, size_t n, uint64_t from)
{
	uint64_t bound = c->in_time_ms + SLACK_MS + LATE_TURNS * atomic_load(&latest_ms);
	bool good = true;

	printf("%-8s within %llu ms: a thread waited up to %llu ms for its turn\n", c->name, (unsigned long long)bound,
	       (unsigned long long)atomic_load(&latest_ms));
	for (size_t i = 0; i < n; i++) {
		bool right = w[i].result == -EHOSTDOWN && w[i].ended - from <= bound && w[i].ended >= from;

		printf("%-8s %-16s %5lld ms  %s%s\n", c->name, w[i].name, (long long)(w[i].ended - from), strerror((int)-w[i].result),
		       right ? "" : "  NOT SO");
		good &= right;
	}
	return good;
}

static bool play(const struct scene *c, int file)
{
	struct waiter w[] = {
		{ .name = "brecv", .wait = wait_brecv }, { .name = "brecv, NOSEQ", .wait = wait_brecv_any }, { .name = "call, short", .wait = wait_call_short },
		{ .name = "call, long", .wait = wait_call_long }, { .name = "send_file", .wait = wait_file }, { .name = "bsend", .wait = wait_bsend },
		{ .name = "settle", .wait = wait_settle }, { .name = "call_async" },
	};
	enum { N = sizeof(w) / sizeof(*w) };
	const struct ssi_ccm_head call = { .node = 2, .module = MOD_CALLS, .type = 2 };
	struct ssi_ccm_station *s;
	uint16_t port;
	pid_t peer = peer_start(7, 0, c->dead_ms, &port);
	uint64_t from;
	bool good;

	s = station_make(1, 7, 0, c->dead_ms);
	if (ssi_ccm_connect_to(s, 2, loopback, port, key) < 0 || ssi_ccm_await(s, 2, 10000) < 0) {
		fprintf(stderr, "%s: the stations do not meet\n", c->name);
		exit(1);
	}
	/* First, while there is room: it does not wait for any. */
	if (ssi_ccm_call_async(s, &call, SSI_CCM_SHORT, "?", 1, on_done, &w[N - 1], SSI_CCM_FOREVER) < 0)
		abort();
	for (int i = 0; i < N; i++) {
		w[i].station = s;
		w[i].file = file;
		if (w[i].wait && pthread_create(&w[i].thread, NULL, waiter_run, &w[i]) != 0)
			abort();
	}
	until_all_wait(w, N);
	for (int i = 0; i < N; i++)
		if (w[i].done)
			fprintf(stderr, "%s: %s did not wait: %s\n", c->name, w[i].name, strerror((int)-w[i].result));
	atomic_store(&latest_ms, 0);
	from = ssi_clock_mono_ms();
	kill(peer, c->signal);
	if (c->reborn) {
		waitpid(peer, NULL, 0);
		peer = peer_start(8, port, c->dead_ms, &port);
	}
	for (int i = 0; i < N; i++)
		if (w[i].wait)
			pthread_join(w[i].thread, NULL);
		else
			while (!w[i].done)
				usleep(1000);
	good = judge(c, w, N, from);
	ssi_ccm_station_free(s);
	kill(peer, SIGKILL);
	waitpid(peer, NULL, 0);
	return good;
}

int main(int argc, char **argv)
{
	static const struct scene scenes[] = {
		{ "killed", SIGKILL, false, 1000, 1000 },
		{ "stopped", SIGSTOP, false, 1000, 1000 },
		{ "reborn", SIGKILL, true, 20000, REBORN_MS },
	};
	_cleanup_close_ int file = memfd_create("body", MFD_CLOEXEC);
	bool good = true;
	pthread_t lateness;

	signal(SIGPIPE, SIG_IGN);
	if (argc == 6 && !strcmp(argv[1], "--peer"))
		return peer_main(argv + 2);
	setvbuf(stdout, NULL, _IOLBF, 0);
	alarm(LIMIT_S);
	if (file < 0 || ftruncate(file, FILE_SIZE) < 0)
		return 1;
	if (pthread_create(&lateness, NULL, lateness_run, NULL) != 0)
		return 1;
	for (size_t i = 0; i < sizeof(scenes) / sizeof(*scenes); i++)
		good &= play(&scenes[i], file);
	return !good;
}
