/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * siege: who may not come in is refused, what may not be said ends its connection, memory stays bounded, what is logged too, and a good
 * peer feels none of it. Run by make check in its short form, where each of the good peer's round trips must end well, late or not; with
 * --full none may take half of a node's detach time, which asks for a machine at rest. Prints one line for each attack.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "libssi/base/cleanup.h"
#include "tests/chaos/siege.h"

#define SIEGE_CALM_MS 1000           /* what the good peer feels in peace is measured so long, before and after */
#define SIEGE_ATTACK_MS 200          /* and under an attack at least so long */
#define SIEGE_TOLD 10                /* refusals that may be logged in SIEGE_WINDOW_US */
#define SIEGE_WINDOW_US 10000000
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define SIEGE_GROWTH_KIB (1 << 20)   /* the sanitizer keeps what was freed for a while */
#else
#define SIEGE_GROWTH_KIB (32 << 10)  /* more memory than this is not bounded */
#endif
#define SIEGE_MAX_US 1500000         /* half of the time after which a node is detached: decides with --full, for a machine that is at rest */
#define SIEGE_WAIT_US 20000000       /* for a sample, at most: a busy machine may take its time, a good peer that is cut off has none */
#define SIEGE_FILES 12000
#define SIEGE_SESSIONS 2             /* at a time: one for each node, however often it begins another */

static const struct siege_target *const targets[] = { &siege_ccm, &siege_station };

static const char help[] =
	"Usage: siege [OPTION]... [TARGET]...\n"
	"Besieges each TARGET (all by default): ccm, station; or a daemon that runs\n\n"
	"      --full         as many of each attack as it takes\n"
	"      --only=ATTACK  this attack only\n"
	"      --daemon=PID   the ssi-bootsvc that runs as this process, and gives out nodes to unknown machines\n"
	"      --master=ADDR  where it serves (10.77.0.1)\n"
	"  -h, --help         show this and exit\n";

static bool arg_full;
static const char *arg_only, *arg_master = "10.77.0.1";
static pid_t arg_daemon;

/* A child that ends with this process. */
static pid_t siege_fork(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		abort();
	if (pid == 0 && (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent))
		_exit(1);
	return pid;
}

static pid_t siege_serve(struct siege *s)
{
	int ready[2];
	pid_t pid;

	malloc_trim(0);                  /* what earlier attacks left here would count as the endpoint's */
	if (pipe(ready) < 0)
		abort();
	pid = siege_fork();
	if (pid == 0) {
		close(ready[0]);
		s->target->serve(ready[1], s->tally);
		_exit(1);
	}
	close(ready[1]);
	if (read(ready[0], &s->port, sizeof(s->port)) != sizeof(s->port))
		s->port = 0;
	close(ready[0]);
	return pid;
}

static void siege_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Until the good peer has gone so long on, counted from when it was at sample `from`. */
static void siege_dwell(struct siege *s, uint32_t from, uint64_t since, unsigned ms)
{
	while (gauge_now_us() - since < ms * 1000ull || (atomic_load(&s->gauge->n) == from && gauge_now_us() - since < SIEGE_WAIT_US))
		usleep(1000);
}

static bool siege_line(const char *name, unsigned n, unsigned right, unsigned told, long kib, struct gauge_figures f)
{
	printf("%-28s %6u %6u %5u %9ld %8u %8u %8u %8u\n", name, n, right, told, kib, f.n, f.p50, f.p99, f.max);
	fflush(stdout);
	return n == right && f.n && (!arg_full || f.max < SIEGE_MAX_US);
}

/* One kind of attack, n times: true when each ended as it should and nobody else was hurt. */
static bool siege_attack(struct siege *s, const struct siege_attack *a, pid_t endpoint)
{
	unsigned n = arg_full ? a->many : a->few, right = 0, told = atomic_load(&s->tally->told);
	_cleanup_free_ struct raider *held = calloc(n, sizeof(*held));
	uint32_t from = atomic_load(&s->gauge->n);
	uint64_t since = gauge_now_us();
	long kib;

	if (!held)
		abort();
	for (s->i = 0; s->i < n; s->i++) {
		struct raider *r = &held[s->i];
		int verdict;

		r->fd = -1;
		verdict = a->one(s, r);
		right += verdict == a->expect;
		if (verdict != a->expect && right + 5 > s->i)
			fprintf(stderr, "%s: number %u ended with %d (%s)\n", a->name, s->i, verdict, strerror(-verdict));
		if (!a->hold)
			raider_free(r);
	}
	siege_dwell(s, from, since, SIEGE_ATTACK_MS);
	kib = gauge_memory(endpoint);
	if (a->hold)
		for (unsigned i = 0; i < n; i++)
			raider_free(&held[i]);
	return siege_line(a->name, n, right, atomic_load(&s->tally->told) - told, kib, gauge_read(s->gauge, from));
}

static bool siege_judge(struct siege *s, pid_t endpoint, long before, uint64_t since)
{
	unsigned failed = atomic_load(&s->gauge->failed), told = atomic_load(&s->tally->told);
	unsigned may = SIEGE_TOLD * (unsigned)((gauge_now_us() - since) / SIEGE_WINDOW_US + 2);
	uint32_t from = atomic_load(&s->gauge->n);
	unsigned sessions;
	long after;

	siege_dwell(s, from, gauge_now_us(), SIEGE_CALM_MS);
	sessions = atomic_load(&s->tally->opened) - atomic_load(&s->tally->closed);
	after = gauge_memory(endpoint);
	siege_line("(after)", 0, 0, 0, after, gauge_read(s->gauge, from));
	printf("%s: %u of the good peer's round trips failed, %u refusals were told (at most %u may be), %u sessions are left, memory grew by %ld KiB\n",
	       s->target->name, failed, told, may, sessions, after - before);
	return !failed && told <= may && sessions <= SIEGE_SESSIONS && (s->target->serve ? waitpid(endpoint, NULL, WNOHANG) == 0 : kill(endpoint, 0) == 0);
}

/* The target's next attack that was asked for; NULL before the first. */
static const struct siege_attack *siege_next(const struct siege_target *target, const struct siege_attack *before)
{
	bool found = !before;

	for (const struct siege_attack *const *table = target->attacks; *table; table++)
		for (const struct siege_attack *a = *table; a->name; a++) {
			if (found && (!arg_only || !strcmp(a->name, arg_only)))
				return a;
			found = found || a == before;
		}
	return NULL;
}

static bool siege_run(const struct siege_target *target, uint16_t port, pid_t daemon)
{
	struct siege s = { .target = target, .port = port, .tally = gauge_shared(sizeof(*s.tally)), .gauge = gauge_shared(sizeof(*s.gauge)) };
	pid_t endpoint = target->serve ? siege_serve(&s) : daemon, peer = siege_fork();
	uint64_t since = gauge_now_us();
	bool good = true;
	long before;

	if (peer == 0) {
		siege_befriend(raider_target, s.port, target->friend, s.gauge);
		_exit(1);
	}
	printf("# %s\n%-28s %6s %6s %5s %9s %8s %8s %8s %8s\n", target->name, "attack", "n", "right", "told", "KiB", "samples", "p50_us", "p99_us", "max_us");
	siege_dwell(&s, 0, since, SIEGE_CALM_MS);
	before = gauge_memory(endpoint);
	good &= siege_line("(before)", 0, 0, 0, before, gauge_read(s.gauge, 0));
	for (const struct siege_attack *a = NULL; (a = siege_next(target, a));)
		if (!siege_attack(&s, a, endpoint) || gauge_memory(endpoint) - before > SIEGE_GROWTH_KIB) {
			fprintf(stderr, "%s: '%s' was not withstood\n", target->name, a->name);
			good = false;
		}
	good &= siege_judge(&s, endpoint, before, since);
	siege_end(peer);
	if (target->serve)
		siege_end(endpoint);
	return good;
}

static int parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "full", no_argument, NULL, 'f' }, { "only", required_argument, NULL, 'o' }, { "daemon", required_argument, NULL, 'd' },
		{ "master", required_argument, NULL, 'm' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1)
		switch (c) {
		case 'f': arg_full = true; break;
		case 'o': arg_only = optarg; break;
		case 'd': arg_daemon = atoi(optarg); break;
		case 'm': arg_master = optarg; break;
		case 'h': fputs(help, stdout); exit(0);
		default: fputs(help, stderr); return -EINVAL;
		}
	return 0;
}

static bool siege_of_daemon(void)
{
	uint16_t port;

	if (inet_pton(AF_INET, arg_master, &raider_target) != 1 || siege_daemon_prepare(raider_target, &port) < 0)
		return false;
	return siege_run(&siege_daemon, port, arg_daemon);
}

static bool asked_for(const char *name, char **names)
{
	for (char **n = names; *n; n++)
		if (!strcmp(name, *n))
			return true;
	return !*names;
}

int main(int argc, char **argv)
{
	struct rlimit files;
	bool good = true;
	unsigned ran = 0;

	if (parse(argc, argv) < 0)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return 1;
	if (files.rlim_max < SIEGE_FILES) {
		printf("%llu open files are allowed, a siege needs %d\n", (unsigned long long)files.rlim_max, SIEGE_FILES);
		return 77;
	}
	files.rlim_cur = SIEGE_FILES;
	setrlimit(RLIMIT_NOFILE, &files);
	if (arg_daemon > 0)
		return !siege_of_daemon();
	for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++)
		if (asked_for(targets[i]->name, argv + optind) && siege_next(targets[i], NULL)) {
			good &= siege_run(targets[i], 0, 0);
			ran++;
		}
	if (!ran)                            /* nothing besieged is nothing withstood */
		fputs("siege: there is no such target, or attack\n", stderr);
	return !good || !ran;
}
