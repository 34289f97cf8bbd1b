/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of jobs, with their numbers and pids, and its copy in the store. Called by the other jobs-*.c. The store hears of a change within SAVE_MS, many
 * at a time: a job of a millisecond shall not wait for a disk, and what a crash of the daemon loses of it the nodes still know. What is there still after
 * SWEEP_MS is on the disk then, as the machine may lose its power.
 */
#include <errno.h>
#include <string.h>
#include "bootsvc/jobs-internal.h"
#include "libssi/base/clock.h"
#include "libssi/base/log.h"

#define NUMBERS_AT_ONCE 4096                 /* jobs for which one write to the store is enough */
#define SAVE_MS 100
#define SWEEP_MS 10000

struct job *job_find(const struct jobs *j, uint64_t number)
{
	struct job *job;

	LIST_FOREACH(job, &j->buckets[number % JOBS_BUCKETS], link)
		if (job->s.number == number)
			return job;
	return NULL;
}

struct job *job_by_pid(const struct jobs *j, uint32_t pid)
{
	struct job *job;

	TAILQ_FOREACH(job, &j->active, order)
		if (job->s.pid == pid)
			return job;
	return NULL;
}

const char *jobs_node_of(const struct jobs *j, uint32_t pid)
{
	struct job *job = j ? job_by_pid(j, pid) : NULL;

	return job ? job->s.node : NULL;
}

unsigned jobs_on_node(const struct jobs *j, const char *node)
{
	struct job *job;
	unsigned n = 0;

	if (j)
		TAILQ_FOREACH(job, &j->active, order)
			n += strcmp(job->s.node, node) == 0;
	return n;
}

unsigned jobs_of_user(const struct jobs *j, uid_t uid)
{
	struct job *job;
	unsigned n = 0;

	TAILQ_FOREACH(job, &j->active, order)
		n += job->s.uid == uid;
	return n;
}

bool job_away(const struct jobs *j, const struct job *job)
{
	const struct ssi_head_node *n = ssi_head_node(j->d->head, job->s.node);

	return !job->conn || !n || n->state != SSI_NODE_JOINED;
}

const char *job_state_name(const struct jobs *j, const struct job *job)
{
	static const char *const names[] = { "placed", "loading", "running", "stopped", "ended" };

	return job->state != JOB_PLACED && job->state != JOB_ENDED && job_away(j, job) ? "away" : names[job->state];
}

/* --- numbers and pids --- */

static int number_next(struct jobs *j, uint64_t *ret, struct ssi_err *e)
{
	int r;

	if (j->next >= j->next_end) {
		r = state_begin(j->d->state, true, e);
		if (r == 0)
			r = state_value_put(j->d->state, "job:next", j->next + NUMBERS_AT_ONCE, e);
		if (r == 0)
			r = state_commit(j->d->state, e);
		if (r < 0) {
			state_rollback(j->d->state);
			return r;
		}
		j->next_end = j->next + NUMBERS_AT_ONCE;
	}
	*ret = j->next++;
	return 0;
}

static bool pid_taken(const struct jobs *j, uint32_t pid) { return pid < JOBS_PID_END && j->pids[pid / 8] & (1u << pid % 8); }
static void pid_mark(struct jobs *j, uint32_t pid, bool taken)
{
	if (!pid || pid >= JOBS_PID_END)
		return;
	if (taken)
		j->pids[pid / 8] |= (uint8_t)(1u << pid % 8);
	else
		j->pids[pid / 8] &= (uint8_t)~(1u << pid % 8);
}

static uint32_t pid_after(uint32_t pid) { return pid + 1 < JOBS_PID_END ? pid + 1 : JOBS_PID_FIRST; }

/* The next free one: one that was used lately comes last. There are more of them than jobs. */
static uint32_t pid_next(struct jobs *j)
{
	uint32_t pid = j->pid_next;

	while (pid_taken(j, pid))
		pid = pid_after(pid);
	j->pid_next = pid_after(pid);
	pid_mark(j, pid, true);
	return pid;
}

/* A process has one number at a time, so what still has it is a job whose deputy is dead: that one loses it. */
int job_renumber(struct jobs *j, struct job *job, uint32_t pid)
{
	struct job *other = pid != job->s.pid && pid_taken(j, pid) ? job_by_pid(j, pid) : NULL;

	if (pid < 2 || pid >= JOBS_PID_FIRST || (other && (other->client || other->deputy >= 0)))
		return -EEXIST;
	if (other)
		other->s.pid = 0;
	pid_mark(j, job->s.pid, false);
	job->s.pid = pid;
	pid_mark(j, pid, true);
	return 0;
}

/* --- the table --- */

static struct job *job_enter(struct jobs *j, const struct state_job *s)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->s = *s;
	job->deputy = -1;
	job->placed = ssi_clock_mono_ms();
	LIST_INSERT_HEAD(&j->buckets[s->number % JOBS_BUCKETS], job, link);
	TAILQ_INSERT_TAIL(&j->active, job, order);
	j->n_active++;
	return job;
}

int job_new(struct jobs *j, const char *node, uint64_t incarnation, uid_t uid, gid_t gid, struct job **ret, struct ssi_err *e)
{
	struct state_job s = { .uid = uid, .gid = gid, .incarnation = incarnation };
	int r;

	if (j->n_active >= JOBS_MAX)
		return ssi_errf(e, -EAGAIN, "there are %u jobs, that is as many as may be", j->n_active);
	r = number_next(j, &s.number, e);
	if (r < 0)
		return r;
	snprintf(s.node, sizeof(s.node), "%s", node);
	s.pid = pid_next(j);
	*ret = job_enter(j, &s);
	if (!*ret)
		pid_mark(j, s.pid, false);
	return *ret ? 0 : ssi_errf(e, -ENOMEM, "no memory for a job");
}

struct job *job_restore(struct jobs *j, const struct state_job *s)
{
	static const enum job_state states[] = {
		[STATE_JOB_SENT] = JOB_SENT, [STATE_JOB_RUNS] = JOB_RUNNING, [STATE_JOB_ENDED] = JOB_ENDED, [STATE_JOB_OVER] = JOB_ENDED,
	};
	struct job *job = job_enter(j, s);

	if (!job)
		return NULL;
	if (pid_taken(j, s->pid))
		job->s.pid = 0;                  /* it is another's by now, who keeps it */
	if (!job->s.pid && s->phase != STATE_JOB_OVER)
		job->s.pid = pid_next(j);
	job->stored = true;
	job->state = s->phase >= STATE_JOB_SENT && s->phase <= STATE_JOB_OVER ? states[s->phase] : JOB_RUNNING;
	pid_mark(j, job->s.pid, true);
	if (s->phase == STATE_JOB_OVER)
		job_over(j, job);
	if (s->number >= j->next)
		j->next = j->next_end = s->number + 1;
	return job;
}

static void job_drop(struct jobs *j, struct job *job)
{
	if (job->dirty)
		TAILQ_REMOVE(&j->unsaved, job, unsaved);
	LIST_REMOVE(job, link);
	if (job->client)
		job->client->job = NULL;
	deputy_drop(j, job);
	free(job);
}

void job_free(struct jobs *j, struct job *job)
{
	TAILQ_REMOVE(&j->active, job, order);
	j->n_active--;
	pid_mark(j, job->s.pid, false);
	job_drop(j, job);
}

static void save_all(struct jobs *j);

/* The oldest record makes room. */
static void kept_bound(struct jobs *j)
{
	struct job *oldest = TAILQ_FIRST(&j->kept);

	if (j->n_kept <= JOBS_KEPT)
		return;
	if (oldest->dirty)
		save_all(j);                     /* its node waits for that */
	if (oldest->stored)
		state_job_rm(j->d->state, oldest->s.number, NULL);
	again_forget(j, oldest->s.number);
	TAILQ_REMOVE(&j->kept, oldest, order);
	j->n_kept--;
	job_drop(j, oldest);
}

void job_over(struct jobs *j, struct job *job)
{
	if (job->acked)
		return;
	job->acked = true;
	job->state = JOB_ENDED;
	job->s.phase = STATE_JOB_OVER;
	pid_mark(j, job->s.pid, false);
	deputy_drop(j, job);
	TAILQ_REMOVE(&j->active, job, order);
	j->n_active--;
	TAILQ_INSERT_TAIL(&j->kept, job, order);
	j->n_kept++;
	kept_bound(j);
}

/* --- its copy in the store --- */

static void save_all(struct jobs *j)
{
	struct job_list saved = TAILQ_HEAD_INITIALIZER(saved);
	struct ssi_err e;
	struct job *job;

	if (TAILQ_EMPTY(&j->unsaved))
		return;
	if (state_begin(j->d->state, false, &e) < 0) {
		log_error("jobs: %s", e.text);
		sd_event_source_set_time_relative(j->save, SWEEP_MS * 1000);     /* nobody else sets it while there are some */
		sd_event_source_set_enabled(j->save, SD_EVENT_ONESHOT);
		return;
	}
	while ((job = TAILQ_FIRST(&j->unsaved))) {
		TAILQ_REMOVE(&j->unsaved, job, unsaved);
		TAILQ_INSERT_TAIL(&saved, job, unsaved);
		job->dirty = false;
		j->unsynced |= !job->acked;
		if (state_job_put(j->d->state, &job->s, &e) < 0)
			log_error("job %llu: %s", (unsigned long long)job->s.number, e.text);
	}
	if (state_commit(j->d->state, &e) < 0) {
		log_error("jobs: %s", e.text);
		state_rollback(j->d->state);
	}
	while ((job = TAILQ_FIRST(&saved))) {
		TAILQ_REMOVE(&saved, job, unsaved);
		job_pay(job);                    /* the node need not keep the record any more */
	}
}

static int on_save(sd_event_source *s, uint64_t usec, void *userdata)
{
	save_all(userdata);
	return 0;
}

void job_changed(struct jobs *j, struct job *job)
{
	if (job->dirty)
		return;
	if (TAILQ_EMPTY(&j->unsaved)) {
		sd_event_source_set_time_relative(j->save, SAVE_MS * 1000);
		sd_event_source_set_enabled(j->save, SD_EVENT_ONESHOT);
	}
	job->stored = job->dirty = true;
	TAILQ_INSERT_TAIL(&j->unsaved, job, unsaved);
}

static void load_one(const struct state_job *s, void *userdata)
{
	struct jobs *j = userdata;
	struct job *job = job_find(j, s->number) ? NULL : job_restore(j, s);

	if (job && !job->acked && s->deputy && s->boot == j->boot)
		deputy_find(j, job);
}

/* One write for all that was written before, too. It has to be one: SQLite writes nothing, and so waits for no disk, where a value stays as it is. */
static void sync_all(struct jobs *j)
{
	struct ssi_err e;
	int r = j->unsynced && j->n_active ? state_begin(j->d->state, true, &e) : 1;

	j->unsynced = false;
	if (r > 0)
		return;
	if (r == 0)
		r = state_value_put(j->d->state, "job:synced", ssi_clock_wall_ms(), &e);
	if (r >= 0)
		r = state_commit(j->d->state, &e);
	if (r < 0) {
		log_error("jobs: %s", e.text);
		state_rollback(j->d->state);
	}
}

/*
 * Numbers that were given out and never used; and jobs that only their nodes know of, as the daemon was killed when they began: who started them has come back,
 * or never will.
 */
static int on_sweep(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct jobs *j = userdata;
	struct job *job, *next;
	uint64_t now = ssi_clock_mono_ms();

	for (job = TAILQ_FIRST(&j->active); job; job = next) {
		next = TAILQ_NEXT(job, order);
		if (job->state == JOB_PLACED && now - job->placed > JOBS_PLACE_MS)
			job_free(j, job);
		else if (!j->first_life && !job->s.boot && !job->client && !job->doomed && job->state != JOB_PLACED && now - job->placed > JOBS_BACK_MS)
			job_doom(j, job);
	}
	jobs_client_sweep(j);
	sync_all(j);
	sd_event_source_set_time_relative(s, SWEEP_MS * 1000);
	return 0;
}

int jobs_table_load(struct jobs *j, struct ssi_err *e)
{
	int r;

	j->next = 1;
	j->pid_next = JOBS_PID_FIRST;
	state_value_get(j->d->state, "job:next", &j->next, NULL);
	j->next_end = j->next;
	r = sd_event_add_time_relative(j->d->event, &j->save, CLOCK_MONOTONIC, SAVE_MS * 1000, 0, on_save, j);
	if (r >= 0)
		r = sd_event_source_set_enabled(j->save, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time_relative(j->d->event, &j->sweep, CLOCK_MONOTONIC, SWEEP_MS * 1000, 0, on_sweep, j);
	if (r >= 0)
		r = sd_event_source_set_enabled(j->sweep, SD_EVENT_ON);
	if (r < 0)
		return ssi_errno(e, r, "jobs");
	return state_job_each(j->d->state, load_one, j, e);
}

void jobs_table_free(struct jobs *j)
{
	struct job *job;

	save_all(j);
	while ((job = TAILQ_FIRST(&j->active)))
		job_free(j, job);
	while ((job = TAILQ_FIRST(&j->kept))) {
		TAILQ_REMOVE(&j->kept, job, order);
		job_drop(j, job);
	}
	sd_event_source_disable_unref(j->save);
	sd_event_source_disable_unref(j->sweep);
	sd_event_source_disable_unref(j->look);
}
