/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * zombies: twenty cases of the zombie matrix at once, all for one state of the link: five kinds of parents, four ends of a child. Called by
 * tests/bats/zombies.bats, which cuts and mends the link in between: a line on standard output says how far things are, one on standard input to go on.
 *
 *     running     the programs run on their nodes and wait       more    those that cannot be executed are started too
 *     all         so they are                                     go      the programs end
 *     ended N     they have; so many deputies live on             alive   say that again
 *                                                                 rest    wait for the deputies, and print who saw what
 *
 * PROGRAMS holds a program for each case, PARENT-CHILD: this one, or what no machine executes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tests/zombies/family.h"

#define CASES (FAMILY_PARENTS * FAMILY_CHILDREN)
#define PATIENCE_MS 60000

static const char *const parents[] = { "waits", "ignores", "gone", "dies", "stopped" };
static const char *const children[] = { "exits", "killed", "dumps", "broken" };
/* Each parent's child is killed by another one. */
static const int signals[] = { SIGTERM, SIGKILL, SIGUSR1, SIGALRM, SIGUSR2 };

struct one {
	pid_t parent, deputy;
	int said, conn;              /* to the parent; to the program */
	bool over;
	struct family_said how;
};
static struct one ones[CASES];

static enum family_parent parent_of(int i) { return (enum family_parent)(i / FAMILY_CHILDREN); }
static enum family_child child_of(int i) { return (enum family_child)(i % FAMILY_CHILDREN); }

static void fail(int i, const char *what)
{
	printf("failed: %s-%s: %s\n", parents[parent_of(i)], children[child_of(i)], what);
	exit(1);
}

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* Within the time that a machine may need on which much else is done. */
static void await(int i, int fd)
{
	struct pollfd w = { .fd = fd, .events = POLLIN };

	if (poll(&w, 1, PATIENCE_MS) <= 0)
		fail(i, "nothing is heard of it");
}

/* One byte, one word or the end. */
static ssize_t hear(int i, int fd, void *p, size_t n)
{
	await(i, fd);
	return read(fd, p, n);
}

static char state_of(pid_t pid)
{
	char path[32], text[256] = "", *at;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	at = strrchr(text, ')');
	return at && at[1] ? at[2] : 0;
}

/* --- the steps --- */

static void start(int i, const char *programs, int port, const char *node)
{
	char program[256], number[8], way[16], how[16];
	char *argv[] = { (char *)"ssi", (char *)"run", (char *)"-n", (char *)node, program, (char *)"child", way, number, how, NULL };
	struct family_said s;

	snprintf(program, sizeof(program), "%s/%s-%s", programs, parents[parent_of(i)], children[child_of(i)]);
	snprintf(number, sizeof(number), "%d", i);
	snprintf(way, sizeof(way), "%d", port);
	if (child_of(i) == FAMILY_EXITS)
		snprintf(how, sizeof(how), "exit:%d", 41 + parent_of(i));
	else
		snprintf(how, sizeof(how), child_of(i) == FAMILY_KILLED ? "signal:%d" : "core", signals[parent_of(i)]);
	if (family_start(parent_of(i), argv, &ones[i].parent, &ones[i].said) < 0 || hear(i, ones[i].said, &s, sizeof(s)) != sizeof(s) || s.value <= 0)
		fail(i, "it cannot be started");
	ones[i].deputy = s.value;
	if (parent_of(i) == FAMILY_STOPPED && (kill(ones[i].parent, SIGSTOP) < 0 || waitpid(ones[i].parent, &s.value, WUNTRACED) < 0))
		fail(i, "its parent cannot be stopped");
}

/* Those whose program can be executed, or the others. Which of the nodes one is on goes by its parent. */
static void start_all(bool broken, const char *programs, int listener, int port, char **nodes, int n_nodes)
{
	int n = 0;

	for (int i = 0; i < CASES; i++)
		if ((child_of(i) == FAMILY_BROKEN) == broken) {
			start(i, programs, port, nodes[parent_of(i) % n_nodes]);
			n++;
		}
	while (!broken && n--) {
		char which = 0;
		int fd;

		await(0, listener);
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0 || hear(0, fd, &which, 1) != 1 || which < 0 || which >= CASES)
			fail(0, "a program that says nothing of itself");
		ones[(int)which].conn = fd;
	}
}

static void go(void)
{
	char byte = 0;

	for (int i = 0; i < CASES; i++)
		if (ones[i].conn && write(ones[i].conn, &byte, 1) != 1)
			fail(i, "its program has ended before it was to");
	for (int i = 0; i < CASES; i++)
		if (ones[i].conn && hear(i, ones[i].conn, &byte, 1) > 0)
			fail(i, "it says more than it has to");
	for (int i = 0; i < CASES; i++)
		if (parent_of(i) == FAMILY_DIES && (kill(ones[i].parent, SIGKILL) < 0 || waitpid(ones[i].parent, NULL, 0) < 0))
			fail(i, "its parent cannot be killed");
}

static int alive(void)
{
	int n = 0;

	for (int i = 0; i < CASES; i++)
		n += state_of(ones[i].deputy) && state_of(ones[i].deputy) != 'Z';
	return n;
}

/* Whoever is there to see it says how a deputy ended. Those whose parent is no more are this process's. True: it is known. */
static bool look(int i)
{
	struct one *o = &ones[i];
	struct pollfd w = { .fd = o->said, .events = POLLIN };

	if (parent_of(i) == FAMILY_GONE || parent_of(i) == FAMILY_DIES) {
		o->how.word = FAMILY_STATUS;
		return waitpid(o->deputy, &o->how.value, WNOHANG) == o->deputy;
	}
	/* A parent that is stopped has a zombie for a child, as everywhere; it goes on then. */
	if (parent_of(i) == FAMILY_STOPPED && state_of(o->deputy) == 'Z')
		kill(o->parent, SIGCONT);
	if (poll(&w, 1, 0) <= 0)
		return false;
	if (read(o->said, &o->how, sizeof(o->how)) != sizeof(o->how) || waitpid(o->parent, NULL, 0) != o->parent)
		fail(i, "its parent has ended without a word");
	return true;
}

static void rest(void)
{
	const long long patience = now_ms() + PATIENCE_MS;

	for (int left = CASES; left;) {
		left = 0;
		for (int i = 0; i < CASES; i++) {
			ones[i].over = ones[i].over || look(i);
			left += !ones[i].over;
			if (!ones[i].over && now_ms() > patience)
				fail(i, "its deputy does not end");
		}
		if (left)
			usleep(5000);
	}
	for (int i = 0; i < CASES; i++) {
		int v = ones[i].how.value;

		printf("%s-%s ", parents[parent_of(i)], children[child_of(i)]);
		if (ones[i].how.word == FAMILY_NOBODY)
			puts("nobody");
		else
			printf("%s %d\n", WIFEXITED(v) ? "exit" : WCOREDUMP(v) ? "core" : "signal", WIFEXITED(v) ? WEXITSTATUS(v) : WTERMSIG(v));
	}
}

static int listen_here(int *ret_port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, CASES) < 0 || getsockname(fd, (struct sockaddr *)&a, &n) < 0)
		fail(0, strerror(errno));
	*ret_port = ntohs(a.sin_port);
	return fd;
}

int main(int argc, char **argv)
{
	struct rlimit core;
	char line[16];
	int port, listener;

	if (argc > 1 && !strcmp(argv[1], "child"))
		return family_child(argc - 2, argv + 2);
	if (argc < 3) {
		fprintf(stderr, "Usage: zombies PROGRAMS NODE...\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (getrlimit(RLIMIT_CORE, &core) == 0) {
		core.rlim_cur = core.rlim_max;
		setrlimit(RLIMIT_CORE, &core);
	}
	listener = listen_here(&port);
	start_all(false, argv[1], listener, port, argv + 2, argc - 2);
	puts("running");
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strcmp(line, "more")) {
			start_all(true, argv[1], listener, port, argv + 2, argc - 2);
			puts("all");
		} else if (!strcmp(line, "rest")) {
			rest();
			return 0;
		} else {
			if (!strcmp(line, "go"))
				go();
			printf("ended %d\n", alive());
		}
	}
	return 1;
}
