/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine that runs the table of stages. Called by main. It waits for children by SIGCHLD with the nearest deadline as its bound; a child
 * past its deadline is killed with its process group, and PID 1 goes on without waiting for it to be gone (it may sit in a system
 * call that ends late). What it does not do well: a stage inside PID 1 has no bound, so only work that cannot block may be one.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "libssi/base/clock.h"
#include "libssi/base/log.h"
#include "libssi/base/num.h"
#include "ssi-init/outcome.h"
#include "ssi-init/reap.h"
#include "ssi-init/stage.h"

int stages_init(struct stages *s, const struct stage *table, size_t n, void *ctx, struct ssi_err *e)
{
	if (n > STAGES_MAX)
		return ssi_errf(e, -E2BIG, "%zu stages, at most %d", n, STAGES_MAX);
	*s = (struct stages){ .n = n, .ctx = ctx };
	for (size_t i = 0; i < n; i++)
		s->runs[i] = (struct stage_run){ .stage = &table[i], .outcome = -1 };
	for (size_t i = 0; i < n; i++) {
		if (table[i].inside)
			continue;
		s->runs[i].outcome = outcome_new(e);
		if (s->runs[i].outcome < 0) {
			stages_close(s);
			return e ? e->code : -EIO;
		}
	}
	return 0;
}

void stages_close(struct stages *s)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->runs[i].outcome >= 0)
			close(s->runs[i].outcome);
		s->runs[i].outcome = -1;
	}
}

static void stage_ended(struct stages *s, struct stage_run *r, enum stage_state state)
{
	char took[24];

	r->state = state;
	r->end_ms = ssi_clock_boot_ms();
	log_debug("%llu ms: %s: %s after %s", (unsigned long long)r->end_ms, r->stage->name, state == STAGE_DONE ? "done" : "failed",
		  ssi_num_format_ms(took, sizeof(took), r->end_ms - r->start_ms));
	if (s->ended)
		s->ended(s);
}

/* Refusals that are the same however often one asks: by the master, and by a machine that is too small (fetch.h). */
static bool stage_final(int code)
{
	return code == -EKEYREVOKED || code == -EKEYREJECTED || code == -EFBIG;
}

/* A try has ended with r->err (code 0: well). */
static void stage_judge(struct stages *s, struct stage_run *r)
{
	const struct stage *st = r->stage;
	uint64_t rest = st->backoff_ms;

	if (r->err.code == 0) {
		stage_ended(s, r, STAGE_DONE);
		return;
	}
	if (r->tries >= st->tries || stage_final(r->err.code)) {
		stage_ended(s, r, STAGE_FAILED);
		return;
	}
	for (unsigned i = 1; i < r->tries && rest < STAGE_BACKOFF_MAX_MS; i++)
		rest *= 2;
	if (rest > STAGE_BACKOFF_MAX_MS)
		rest = STAGE_BACKOFF_MAX_MS;
	log_warning("%s: %s; try %u of %u in %llu.%llu s", st->name, r->err.text, r->tries + 1, st->tries,
		    (unsigned long long)rest / 1000, (unsigned long long)rest % 1000 / 100);
	r->state = STAGE_RESTING;
	r->until_ms = ssi_clock_boot_ms() + rest;
}

/* The child's side; does not return. */
static void stage_child(const struct stages *s, const struct stage_run *r)
{
	struct ssi_err e = { 0 };

	setpgid(0, 0);
	reap_child_signals();
	outcome_adopt(r->outcome);
	e.code = r->stage->run(s->ctx, &e);
	if (e.code > 0)
		e.code = 0;
	outcome_put(&e);
	_exit(e.code ? 1 : 0);
}

static void stage_begin(struct stages *s, struct stage_run *r)
{
	uint64_t now = ssi_clock_boot_ms();

	if (r->tries++ == 0)
		r->start_ms = now;
	r->err = (struct ssi_err){ 0 };
	if (r->stage->inside) {
		int code = r->stage->run(s->ctx, &r->err);

		r->err.code = code < 0 ? code : 0;
		stage_judge(s, r);
		return;
	}
	outcome_clear(r->outcome);
	r->state = STAGE_RUNNING;
	r->until_ms = now + r->stage->bound_ms;
	r->pid = fork();
	if (r->pid == 0)
		stage_child(s, r);
	if (r->pid < 0) {
		ssi_errno(&r->err, -errno, "fork");
		stage_judge(s, r);
		return;
	}
	setpgid(r->pid, r->pid);        /* here too: it may have to be killed before it ran */
}

static void stage_exited(struct stages *s, struct stage_run *r, int status)
{
	struct ssi_err said = { 0 };
	int have = outcome_get(r->outcome, &said);

	r->pid = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		r->err.code = 0;
	else if (have == 0 && said.code < 0)
		r->err = said;
	else if (WIFSIGNALED(status))
		ssi_errf(&r->err, -EIO, "its process died of signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		ssi_errf(&r->err, -EIO, "its process ended with status %d", WEXITSTATUS(status));
	stage_judge(s, r);
}

static void stage_expired(struct stages *s, struct stage_run *r)
{
	struct ssi_err said = { 0 };
	bool noted = outcome_get(r->outcome, &said) == 0 && said.text[0];

	kill(-r->pid, SIGKILL);
	r->pid = 0;
	ssi_errf(&r->err, -ETIMEDOUT, "%s%sno answer in %u s", noted ? said.text : "", noted ? ": " : "", r->stage->bound_ms / 1000);
	stage_judge(s, r);
}

static bool stage_needs_met(const struct stages *s, const struct stage *st)
{
	for (size_t i = 0; i < s->n; i++)
		if (st->needs & 1u << i && s->runs[i].state != STAGE_DONE && s->runs[i].state != STAGE_SKIPPED)
			return false;
	return true;
}

/* Start and restart what can be of those in mask; true if anything changed, so that what waits for it is looked at again. */
static bool stages_start(struct stages *s, unsigned mask)
{
	bool changed = false;

	for (size_t i = 0; i < s->n; i++) {
		struct stage_run *r = &s->runs[i];

		if (!(mask & 1u << i))
			continue;
		if (r->state == STAGE_WAITING && stage_needs_met(s, r->stage)) {
			if (r->stage->wanted && !r->stage->wanted(s->ctx))
				r->state = STAGE_SKIPPED;
			else
				stage_begin(s, r);
			changed = true;
		} else if (r->state == STAGE_RESTING && ssi_clock_boot_ms() >= r->until_ms) {
			stage_begin(s, r);
			changed = true;
		}
	}
	return changed;
}

static void stages_expire(struct stages *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->runs[i].state == STAGE_RUNNING && ssi_clock_boot_ms() >= s->runs[i].until_ms)
			stage_expired(s, &s->runs[i]);
}

static void stages_reap(struct stages *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < s->n; i++)
			if (s->runs[i].state == STAGE_RUNNING && s->runs[i].pid == pid)
				stage_exited(s, &s->runs[i], status);
}

/* Until a child ends, or the nearest deadline; a try that rests and is not in mask does not begin again. */
static void stages_wait(const struct stages *s, unsigned mask)
{
	uint64_t now = ssi_clock_boot_ms(), nearest = now + 60000;
	struct timespec ts;
	sigset_t set;

	for (size_t i = 0; i < s->n; i++)
		if ((s->runs[i].state == STAGE_RUNNING || (s->runs[i].state == STAGE_RESTING && mask & 1u << i)) && s->runs[i].until_ms < nearest)
			nearest = s->runs[i].until_ms;
	nearest = nearest > now ? nearest - now : 0;
	ts = (struct timespec){ .tv_sec = (time_t)(nearest / 1000), .tv_nsec = (long)(nearest % 1000) * 1000000 };
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigtimedwait(&set, NULL, &ts);
}

static void stages_kill(struct stages *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->runs[i].state == STAGE_RUNNING)
			kill(-s->runs[i].pid, SIGKILL);
}

static const struct stage_run *stages_failed(const struct stages *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->runs[i].state == STAGE_FAILED)
			return &s->runs[i];
	return NULL;
}

/* All of mask are done; or, so that nothing is waited for in vain, one of them has failed. */
static bool stages_over(const struct stages *s, unsigned mask)
{
	bool over = true;

	for (size_t i = 0; i < s->n; i++) {
		if (!(mask & 1u << i))
			continue;
		if (s->runs[i].state == STAGE_FAILED)
			return true;
		over = over && (s->runs[i].state == STAGE_DONE || s->runs[i].state == STAGE_SKIPPED);
	}
	return over;
}

static bool stages_settled(const struct stages *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->settle & 1u << i && s->runs[i].state == STAGE_RUNNING)
			return false;
	return true;
}

int stages_run(struct stages *s, const struct stage_run **ret_failed)
{
	const struct stage_run *failed = NULL;
	unsigned mask = ~0u;

	for (;;) {
		while (!stages_over(s, mask) && stages_start(s, mask))
			;
		if (!failed && (failed = stages_failed(s)))
			mask = s->finish;
		if (stages_over(s, mask) && (!failed || stages_settled(s)))
			break;
		stages_wait(s, mask);
		stages_reap(s);
		stages_expire(s);
	}
	if (!failed)
		return 0;
	stages_kill(s);
	*ret_failed = failed;
	return failed->err.code;
}
