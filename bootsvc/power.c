/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Switching power, many machines at once, without holding up the daemon. Owns the queue of what was asked and the running agents.
 * "cycle" is off and then on by two runs: an agent's own "reboot" reports success when only the off worked.
 */
#include "bootsvc/power.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "bootsvc/power-agent.h"
#include "libssi/base/cleanup.h"

#define OUTPUT_MAX 4096      /* of an agent's words the last ones are kept */
#define READS_MAX 16         /* of so many bytes in a row: 64 KiB, a pipe's room */

struct job {
	struct job *next;
	struct ssi_power *power;
	char mac[SSI_MAC_LEN];
	struct power_agent agent;
	enum ssi_power_action action;
	unsigned step;               /* of steps[action] */
	pid_t pid;                   /* 0: waits its turn */
	int output;
	sd_event_source *child, *words, *timer;
	char text[OUTPUT_MAX + 1];
	size_t len;
	bool timed_out;
	ssi_power_done done;
	void *userdata;
};

struct ssi_power {
	sd_event *event;
	sd_event_source *turn;       /* looks for the next to run, from the loop */
	struct job *jobs;            /* in the order asked for */
	unsigned running;
};

static const char *const names[SSI_POWER_ACTIONS] = {
	[SSI_POWER_ON] = "on", [SSI_POWER_OFF] = "off", [SSI_POWER_CYCLE] = "cycle", [SSI_POWER_STATUS] = "status",
};

/* What each action makes the agent do, in turn. */
static const char *const steps[SSI_POWER_ACTIONS][3] = {
	[SSI_POWER_ON] = { "on" }, [SSI_POWER_OFF] = { "off" }, [SSI_POWER_CYCLE] = { "off", "on" }, [SSI_POWER_STATUS] = { "status" },
};

const char *ssi_power_name(enum ssi_power_action a)
{
	return names[a];
}

int ssi_power_parse(const char *name)
{
	for (int a = 0; a < SSI_POWER_ACTIONS; a++)
		if (strcmp(names[a], name) == 0)
			return a;
	return -EINVAL;
}

static void job_unwatch(struct job *j)
{
	j->child = sd_event_source_disable_unref(j->child);
	j->words = sd_event_source_disable_unref(j->words);
	j->timer = sd_event_source_disable_unref(j->timer);
	if (j->output >= 0)
		close(j->output);
	j->output = -1;
	j->pid = 0;
}

/* Out of the list, told to who asked, gone. */
static void job_end(struct job *j, int err, int state, const struct ssi_err *why)
{
	struct ssi_power *p = j->power;

	for (struct job **at = &p->jobs; *at; at = &(*at)->next)
		if (*at == j) {
			*at = j->next;
			break;
		}
	power_agent_free(&j->agent);
	j->done(j->mac, j->action, err, state, why, j->userdata);
	free(j);
}

static void power_wake(struct ssi_power *p)
{
	sd_event_source_set_enabled(p->turn, SD_EVENT_ONESHOT);
}

/* At most what a pipe holds: an agent that does not stop talking must not keep the loop. */
static void words_read(struct job *j)
{
	char buf[OUTPUT_MAX];
	ssize_t n = 1;

	for (unsigned i = 0; i < READS_MAX && (n = read(j->output, buf, sizeof(buf))) > 0; i++) {
		size_t keep = OUTPUT_MAX - (size_t)n < j->len ? OUTPUT_MAX - (size_t)n : j->len;

		memmove(j->text, j->text + j->len - keep, keep);
		memcpy(j->text + keep, buf, (size_t)n);
		j->len = keep + (size_t)n;
	}
	if (n == 0)
		sd_event_source_set_enabled(j->words, SD_EVENT_OFF);
	for (size_t i = 0; i < j->len; i++)
		if (!j->text[i])
			j->text[i] = ' ';
	j->text[j->len] = '\0';
}

static int on_words(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	words_read(userdata);
	return 0;
}

/* End the agent and whatever it started. */
static void job_kill(struct job *j)
{
	kill(-j->pid, SIGKILL);
	kill(j->pid, SIGKILL);
}

static int on_timeout(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct job *j = userdata;

	j->timed_out = true;
	job_kill(j);                 /* on_child follows */
	return 0;
}

/* The end of an agent's run: the next step, or the end of the job. */
static int on_child(sd_event_source *s, const siginfo_t *si, void *userdata)
{
	struct job *j = userdata;
	struct ssi_power *p = j->power;
	int status = si->si_code == CLD_EXITED ? si->si_status : 128 + si->si_status;
	const char *step = steps[j->action][j->step];
	struct ssi_err e;
	int r;

	words_read(j);
	job_unwatch(j);
	p->running--;
	power_wake(p);
	if (j->timed_out) {
		r = ssi_errf(&e, -ETIMEDOUT, "%s: %s was not done in %u s: the power controller does not answer", j->agent.program, step,
			     j->agent.timeout_ms / 1000);
		job_end(j, r, -1, &e);
	} else if (j->action == SSI_POWER_STATUS && (status == 0 || status == 2)) {
		job_end(j, 0, status == 0, NULL);
	} else if (status != 0) {
		r = power_agent_failed(&j->agent, step, status, j->text, &e);
		job_end(j, r, -1, &e);
	} else if (steps[j->action][j->step + 1]) {
		j->step++;           /* its turn comes again, before what was asked for later */
		j->len = 0;
		j->text[0] = '\0';
	} else {
		job_end(j, 0, j->action != SSI_POWER_OFF, NULL);
	}
	return 0;
}

static int job_watch(struct job *j)
{
	sd_event *ev = j->power->event;
	int r = sd_event_add_child(ev, &j->child, j->pid, WEXITED, on_child, j);

	if (r >= 0)
		r = sd_event_add_io(ev, &j->words, j->output, EPOLLIN, on_words, j);
	if (r >= 0)
		r = sd_event_add_time_relative(ev, &j->timer, CLOCK_MONOTONIC, j->agent.timeout_ms * 1000ULL, 100000, on_timeout, j);
	return r;
}

static void job_run(struct job *j)
{
	struct ssi_err e;
	int r = power_agent_spawn(&j->agent, steps[j->action][j->step], &j->pid, &j->output, &e);

	if (r < 0) {
		j->pid = 0;
		job_end(j, r, -1, &e);
		return;
	}
	r = job_watch(j);
	if (r < 0) {
		pid_t pid = j->pid;

		job_kill(j);
		job_unwatch(j);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		ssi_errno(&e, r, "cannot watch %s", j->agent.program);
		job_end(j, r, -1, &e);
		return;
	}
	j->power->running++;
}

/* The first job that may run: its machine has none running, and none before it in the list. */
static struct job *job_next(const struct ssi_power *p)
{
	for (struct job *j = p->jobs; j; j = j->next) {
		const struct job *before = p->jobs;

		while (before != j && strcmp(before->mac, j->mac) != 0)
			before = before->next;
		if (before == j && !j->pid)
			return j;
	}
	return NULL;
}

static int on_turn(sd_event_source *s, void *userdata)
{
	struct ssi_power *p = userdata;
	struct job *j;

	while (p->running < SSI_POWER_CHILDREN && (j = job_next(p)))
		job_run(j);
	return 0;
}

int ssi_power_new(sd_event *event, struct ssi_power **ret)
{
	struct ssi_power *p = calloc(1, sizeof(*p));
	sigset_t chld;
	int r;

	if (!p)
		return -ENOMEM;
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	r = sd_event_add_defer(event, &p->turn, on_turn, p);
	if (r >= 0)
		r = sd_event_source_set_enabled(p->turn, SD_EVENT_OFF);
	if (r < 0) {
		sd_event_source_unref(p->turn);
		free(p);
		return r;
	}
	p->event = sd_event_ref(event);
	*ret = p;
	return 0;
}

void ssi_power_free(struct ssi_power *p)
{
	struct ssi_err e;

	if (!p)
		return;
	ssi_errf(&e, -ECANCELED, "ssi-bootsvc is stopping");
	while (p->jobs) {
		struct job *j = p->jobs;
		pid_t pid = j->pid;

		if (pid) {
			job_kill(j);
			job_unwatch(j);
			while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
				;
		}
		job_end(j, -ECANCELED, -1, &e);
	}
	sd_event_source_disable_unref(p->turn);
	sd_event_unref(p->event);
	free(p);
}

int ssi_power_start(struct ssi_power *p, const struct ssi_machine *m, enum ssi_power_action a, ssi_power_done done, void *userdata, struct ssi_err *e)
{
	struct job *j = calloc(1, sizeof(*j)), **at;
	int r;

	if (!j)
		return ssi_errf(e, -ENOMEM, "out of memory");
	j->power = p;
	j->action = a;
	j->output = -1;
	j->done = done;
	j->userdata = userdata;
	memcpy(j->mac, m->mac, sizeof(j->mac));
	r = power_agent_read(m, &j->agent, e);
	if (r < 0) {
		free(j);
		return r;
	}
	for (at = &p->jobs; *at; at = &(*at)->next)
		;
	*at = j;
	power_wake(p);
	return 0;
}
